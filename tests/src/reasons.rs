//! lpwatch's reasons, held against the kernel's own words about the same tasks.
//!
//! A task may change between two looks. So lpwatch looks between two tries of
//! the kernel, and a task counts only if the kernel said the same of it before,
//! meanwhile and after.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::blockers::{Blocker, Look, look};
use crate::guest;
use crate::lpwatch::{ALONE, ALONE_NO_BPF};
use crate::oracle::{Complaint, Oracle};
use crate::patch;
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// Every way to look: a daemon's answer, an own look, one without BPF.
pub const ALL_WAYS: &[&[&str]] = &[&[], ALONE, ALONE_NO_BPF];

/// The kernel tries once a second; an emulated one is late at times.
const NEXT_TRY: Duration = Duration::from_secs(12);

/// Rounds until every task has stayed as it was for one of them.
const ROUNDS: usize = 8;

/// Counts, over a scenario, what was compared.
pub struct Comparison<'a> {
    patch: &'a str,
    old: Code,
    compared: usize,
    agreed: usize,
    disagreements: Vec<String>,
}

impl<'a> Comparison<'a> {
    /// Of a patch in transition, away from that code.
    pub fn of(patch: &'a str, old: Code) -> Self {
        Self {
            patch,
            old,
            compared: 0,
            agreed: 0,
            disagreements: Vec::new(),
        }
    }

    /// The transition was turned round: what was new is old now.
    pub fn turn(&mut self, old: Code) {
        self.old = old;
    }

    /// Looks in each of these ways until every one of `tids` was compared, and
    /// gives the last looks, one a way.
    pub fn run(
        &mut self,
        oracle: &mut Oracle,
        ways: &[&[&str]],
        tids: &BTreeSet<i32>,
    ) -> Result<Vec<Look>> {
        let mut waiting = tids.clone();
        let begin = oracle.mark()?;
        for _ in 0..ROUNDS {
            let (looks, steady) = self.round(oracle, ways)?;
            waiting.retain(|tid| !steady.contains_key(tid));
            for look in &looks {
                self.compare(look, &steady);
            }
            if waiting.is_empty() {
                return Ok(looks);
            }
        }
        let said = oracle.since(begin)?;
        bail!("of {waiting:?} the kernel never said the same throughout: {said:?}")
    }

    /// Looks between two tries; also tells what the kernel said throughout.
    fn round(
        &self,
        oracle: &mut Oracle,
        ways: &[&[&str]],
    ) -> Result<(Vec<Look>, BTreeMap<i32, Complaint>)> {
        let begin = oracle.mark()?;
        self.wait_complaints(oracle, begin)?;
        let before_looks = oracle.mark()?;
        let mut steady = oracle.latest_before(before_looks);
        // A task whose last words are old may have been silent since.
        let fresh: BTreeSet<i32> = oracle.since(begin)?.iter().map(|said| said.pid).collect();
        steady.retain(|pid, _| *pid > 0 && fresh.contains(pid));
        let mut looks = Vec::new();
        for how in ways {
            let look = look(self.patch, how)?;
            looks.push(look.with_context(|| format!("{how:?}: no transition is shown"))?);
        }
        let after_looks = oracle.mark()?;
        self.wait_complaints(oracle, after_looks)?;
        let afterwards: BTreeSet<i32> = oracle
            .since(after_looks)?
            .iter()
            .map(|said| said.pid)
            .collect();
        for said in oracle.since(before_looks)? {
            if steady.get(&said.pid) != Some(&said.complaint) {
                steady.remove(&said.pid);
            }
        }
        steady.retain(|pid, _| afterwards.contains(pid));
        // The kernel wakes sleeping tasks for a moment, between its tries.
        steady.retain(|pid, complaint| {
            let mut seen = looks.iter().filter_map(|look| look.of(*pid).ok());
            let woken = seen.any(|blocker| blocker.state == Some('R'));
            !(woken && matches!(complaint, Complaint::SleepingOn(_)))
        });
        // Nearly always on its CPU: one look may find it at rest.
        steady.retain(|pid, complaint| {
            let mut seen = looks.iter().filter_map(|look| look.of(*pid).ok());
            let rests = seen.any(|blocker| blocker.state.is_some_and(|state| state != 'R'));
            !(rests && matches!(complaint, Complaint::Running))
        });
        Ok((looks, steady))
    }

    /// Waits until the kernel has said something since `mark` of every task
    /// that is left.
    fn wait_complaints(&self, oracle: &mut Oracle, mark: usize) -> Result<()> {
        guest::wait_at_most(NEXT_TRY, "the kernel's next try", || {
            let said: BTreeSet<i32> = oracle.since(mark)?.iter().map(|said| said.pid).collect();
            let left = tasks::running(self.old);
            let over = patch::transition(self.patch)? != Some(true);
            Ok((over || left.is_subset(&said)).then_some(()))
        })
        .with_context(|| format!("left: {:?}", tasks::running(self.old)))
    }

    fn compare(&mut self, look: &Look, steady: &BTreeMap<i32, Complaint>) {
        for (tid, complaint) in steady {
            self.compared += 1;
            let blocker = look.of(*tid);
            match blocker {
                Ok(blocker) if agrees(blocker, complaint) => self.agreed += 1,
                Ok(blocker) => self.disagree(look, complaint, &format!("{blocker:?}")),
                Err(_) => self.disagree(look, complaint, &format!("{tid} is not listed")),
            }
        }
    }

    fn disagree(&mut self, look: &Look, complaint: &Complaint, what: &str) {
        self.disagreements.push(format!(
            "[{}] the kernel: {complaint:?}; lpwatch: {what}",
            look.how
        ));
    }

    /// Prints the counts; all must have agreed.
    pub fn conclude(self, trial: &mut Trial) -> Result<()> {
        trial.figure("compared", self.compared);
        trial.figure("agreed", self.agreed);
        ensure!(self.compared > 0, "nothing was compared");
        let few: Vec<&String> = self.disagreements.iter().take(3).collect();
        ensure!(
            self.agreed == self.compared,
            "{} of {} disagree, for example {few:#?}",
            self.compared - self.agreed,
            self.compared
        );
        Ok(())
    }
}

fn agrees(blocker: &Blocker, complaint: &Complaint) -> bool {
    let reason = blocker.reason.as_deref().unwrap_or("none");
    match complaint {
        Complaint::Running => matches!(reason, "running" | "kvm_vcpu"),
        Complaint::UnreliableStack => matches!(reason, "unreliable_stack" | "no_unwind_data"),
        Complaint::SleepingOn(function) => {
            matches!(reason, "sleeping_on_function" | "uninterruptible")
                && blocker.function.as_deref() == Some(function)
        }
    }
}

/// Every one of these tasks is listed with this reason and function. Where the
/// kernel's verdicts can be watched, the daemon has them.
pub fn expect(looks: &[Look], tids: &BTreeSet<i32>, reason: &str, function: &str) -> Result<()> {
    for look in looks {
        for tid in tids {
            let blocker = look.of(*tid)?;
            ensure!(
                blocker.reason.as_deref() == Some(reason),
                "[{}] not {reason}: {blocker:?}",
                look.how
            );
            if !function.is_empty() {
                ensure!(
                    blocker.function.as_deref() == Some(function),
                    "[{}] not on {function}: {blocker:?}",
                    look.how
                );
            }
            expect_verdict(look, blocker, reason)?;
        }
    }
    Ok(())
}

fn expect_verdict(look: &Look, blocker: &Blocker, reason: &str) -> Result<()> {
    let verdict = blocker.kernel_check.as_ref();
    if look.without_bpf() || guest::kernel_series()? == "5.10" {
        ensure!(verdict.is_none(), "[{}] {verdict:?}", look.how);
        return Ok(());
    }
    if !look.is_daemons() {
        return Ok(());
    }
    let verdict = verdict.with_context(|| format!("no verdict: {blocker:?}"))?;
    let answer = match reason {
        "uninterruptible" => "sleeping_on_function",
        "kvm_vcpu" => "running",
        "no_unwind_data" => "unreliable_stack",
        other => other,
    };
    ensure!(verdict.answer == answer && verdict.tries > 0, "{verdict:?}");
    if answer == "sleeping_on_function" {
        ensure!(verdict.function == blocker.function, "{blocker:?}");
    }
    Ok(())
}
