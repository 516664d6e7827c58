//! How often the functions to be patched are called: as a daemon has counted
//! it, else counted while the tasks are looked at.
//!
//! A counter is a kprobe, which keeps no patch from loading and stays on no
//! stack. None is placed while a transition is under way, and all are taken off
//! if one begins.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    check::risky_functions::is_risky,
    engine,
    kernel::{Roots, ftrace, kallsyms::VMLINUX, patch_file::PatchFile},
    model::{
        Snapshot,
        calls::{FunctionId, report::CallsReport},
    },
    probe::{CallCounter, CallCounters, CountAt, CountKind, TaskIterator, may_count_ahead},
};

use super::objects::{Extent, ObjectFacts, function_id};

/// The most functions that are counted: to place and to remove a probe takes
/// the kernel some time.
const COUNTED_MAX: usize = 32;

/// For how long the calls of a function have to be counted to make a rate.
const LEAST: Duration = Duration::from_millis(500);

/// Calls a second of which a few moments show enough: then the counter, which
/// costs something at each of them, is taken off.
const PLENTY: f64 = 100_000.0;

/// Over how many seconds a daemon gives its rates.
const DAEMONS_SECONDS: f64 = 10.0;

/// Calls of a function, of its old and its new code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    /// For how long it was counted.
    pub seconds: f64,
    pub by: CountedBy,
}

/// Who has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    Daemon,
    Check,
}

/// By function; one that was not counted is not there.
pub type Rates = BTreeMap<FunctionId, Rate>;

/// What a daemon has counted.
#[must_use]
pub fn of_daemon(snapshot: &Snapshot) -> Rates {
    let mut rates = Rates::new();
    for function in CallsReport::of(snapshot, None).functions {
        let calls = function.calls.as_ref();
        let parts = calls.and_then(|calls| calls.old_per_second.zip(calls.new_per_second));
        let Some((old, new)) = parts else {
            continue;
        };
        let id = FunctionId::new(&function.object, &function.name, function.sympos);
        let rate = Rate {
            per_second: old + new,
            seconds: DAEMONS_SECONDS,
            by: CountedBy::Daemon,
        };
        // Of several patches of a function the lower ones see not all calls.
        let known = rates.entry(id).or_insert(rate);
        if rate.per_second > known.per_second {
            *known = rate;
        }
    }
    rates
}

/// What can be counted of a patch's functions, and where.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    at: Vec<(FunctionId, CountAt)>,
    /// Functions beyond the most that are counted.
    left: usize,
}

impl Plan {
    /// Functions that the kernel has once and traces; those that are dangerous to
    /// patch by their nature are left alone, whoever calls them.
    fn of(patch: &PatchFile, objects: &ObjectFacts, known: &Rates) -> Self {
        let mut plan = Self::default();
        for object in &patch.objects {
            for function in &object.functions {
                let id = function_id(&object.name, function);
                let is_known = known.contains_key(&id) || plan.at.iter().any(|(at, _)| *at == id);
                let Some(address) = address(objects, &id).filter(|_| !is_known) else {
                    continue;
                };
                if id.object == VMLINUX && is_risky(&id.name) {
                    continue;
                }
                if plan.at.len() == COUNTED_MAX {
                    plan.left += 1;
                    continue;
                }
                let symbol = id.spelled();
                let kind = CountKind::Kprobe;
                let at = CountAt {
                    address,
                    symbol,
                    kind,
                };
                plan.at.push((id, at));
            }
        }
        plan
    }
}

/// Where the only function of that name begins, if it can be counted there.
fn address(objects: &ObjectFacts, id: &FunctionId) -> Option<u64> {
    let facts = objects.symbols.as_ref()?.get(id)?;
    let [Extent { begin, .. }] = objects.functions.get(id)?[..] else {
        return None;
    };
    (facts.count == 1 && facts.traceable == Some(true) && begin != 0).then_some(begin)
}

/// What is being counted. All counters are taken off when it is dropped.
#[derive(Default)]
pub(super) struct Counting {
    counters: Option<CallCounters>,
    running: Vec<(FunctionId, CallCounter, Instant)>,
    rates: Rates,
}

impl Counting {
    /// Begins with what the daemon has not counted; `bpf` is there where BPF is.
    pub fn begin(
        roots: &Roots,
        patch: &PatchFile,
        objects: &ObjectFacts,
        known: &Rates,
        bpf: Option<(CallCounters, &mut TaskIterator)>,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut counting = Self {
            rates: known.clone(),
            ..Self::default()
        };
        let Plan { at, left } = Plan::of(patch, objects, known);
        if at.is_empty() {
            return counting;
        }
        let started = why_not(roots).map_or_else(|| bpf.ok_or("BPF is not used"), Err);
        match started {
            Ok((mut counters, iterator)) => {
                counting.attach(&mut counters, iterator, &at, notes);
                counting.counters = Some(counters);
            }
            Err(why) => notes.push(format!(
                "How often the functions to be patched are called was not counted: {why}."
            )),
        }
        if left > 0 {
            notes.push(format!(
                "Calls were counted of the first {COUNTED_MAX} functions, and not of {left} more."
            ));
        }
        counting
    }

    fn attach(
        &mut self,
        counters: &mut CallCounters,
        iterator: &mut TaskIterator,
        at: &[(FunctionId, CountAt)],
        notes: &mut Vec<String>,
    ) {
        for (id, at) in at {
            match counters.attach(iterator, at, None, Duration::ZERO) {
                Ok(counter) => self.running.push((id.clone(), counter, Instant::now())),
                Err(error) => notes.push(format!(
                    "How often {} is called was not counted: {error}.",
                    id.name
                )),
            }
        }
    }

    /// Between two looks: lets go of what is known well enough, and of all if a
    /// transition has begun.
    pub fn turn(&mut self, roots: &Roots, notes: &mut Vec<String>) {
        if self.running.is_empty() {
            return;
        }
        if is_in_transition(roots) {
            self.let_go(|_, _| true);
            notes.push(
                "A transition began: calls were not counted any longer, so as not to be in its \
                 way."
                    .to_owned(),
            );
            return;
        }
        self.let_go(|calls, time| rate(calls, time).is_some_and(|rate| rate >= PLENTY));
    }

    /// Takes all counters off.
    pub fn end(mut self) -> Rates {
        self.let_go(|_, _| true);
        self.rates
    }

    /// Reads all, and takes off those of which this holds.
    fn let_go(&mut self, enough: impl Fn(u64, Duration) -> bool) {
        let Self {
            counters,
            running,
            rates,
        } = self;
        let Some(counters) = counters else {
            return;
        };
        for (id, counter, since) in std::mem::take(running) {
            let time = since.elapsed();
            let calls = counters.read(&counter).all();
            if !enough(calls, time) {
                running.push((id, counter, since));
                continue;
            }
            if let Some(per_second) = rate(calls, time) {
                let seconds = time.as_secs_f64();
                let by = CountedBy::Check;
                let rate = Rate {
                    per_second,
                    seconds,
                    by,
                };
                rates.insert(id, rate);
            }
            counters.detach(counter);
        }
    }
}

/// `None` if it was too short to tell.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate need not be exact beyond 2^52 calls"
)]
fn rate(calls: u64, time: Duration) -> Option<f64> {
    (time >= LEAST).then(|| calls as f64 / time.as_secs_f64())
}

/// Why nothing may be counted here now.
fn why_not(roots: &Roots) -> Option<&'static str> {
    if !roots.is_live() {
        return Some("a recorded tree is read");
    }
    if ftrace::is_enabled(roots) != Some(true) {
        return Some("ftrace is switched off, or whether it is on is not known");
    }
    if is_in_transition(roots) {
        return Some("a transition is under way");
    }
    may_count_ahead().err()
}

/// Also where that cannot be read.
fn is_in_transition(roots: &Roots) -> bool {
    engine::read_all(roots).map_or(true, |systems| {
        systems.patches.iter().any(|patch| patch.in_transition)
    })
}

#[cfg(test)]
mod tests;
