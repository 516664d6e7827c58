//! The call rates of the functions to be patched: from a daemon, or counted while
//! the tasks are sampled.
//!
//! A counter is a kprobe: it does not prevent a patch from loading and leaves
//! nothing on a stack. No counter is attached during a transition, and all are
//! detached when one begins.

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

/// The most functions to count: the kernel needs some time to attach and detach
/// a probe.
const COUNTED_MAX: usize = 32;

/// The shortest counting time that gives a rate.
const LEAST: Duration = Duration::from_millis(500);

/// At this call rate a short count is enough: the counter costs something at each
/// call and is detached.
const PLENTY: f64 = 100_000.0;

/// The window of a daemon's rates, in seconds.
const DAEMONS_SECONDS: f64 = 10.0;

/// The call rate of a function, old and new code together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallRate {
    pub per_second: f64,
    /// How long it was counted.
    pub seconds: f64,
    pub by: CountedBy,
}

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    Daemon,
    Check,
}

/// By function; a function that was not counted has no entry.
pub type Rates = BTreeMap<FunctionId, CallRate>;

/// The call rates that a daemon has measured.
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
        let rate = CallRate {
            per_second: old + new,
            seconds: DAEMONS_SECONDS,
            by: CountedBy::Daemon,
        };
        // With several patches of a function, the lower ones do not see all calls.
        let known = rates.entry(id).or_insert(rate);
        if rate.per_second > known.per_second {
            *known = rate;
        }
    }
    rates
}

/// Which functions of a patch to count, and where.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    at: Vec<(FunctionId, CountAt)>,
    /// How many functions exceed the limit.
    left: usize,
}

impl Plan {
    /// Functions with exactly one symbol that ftrace can trace, without those that
    /// are dangerous to probe.
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

/// The start of the only function of that name, if it can be counted.
fn address(objects: &ObjectFacts, id: &FunctionId) -> Option<u64> {
    let facts = objects.symbols.as_ref()?.get(id)?;
    let [Extent { begin, .. }] = objects.functions.get(id)?[..] else {
        return None;
    };
    (facts.count == 1 && facts.traceable == Some(true) && begin != 0).then_some(begin)
}

/// The running counters. All are detached on drop.
#[derive(Default)]
pub(super) struct Counting {
    counters: Option<CallCounters>,
    running: Vec<(FunctionId, CallCounter, Instant)>,
    rates: Rates,
}

impl Counting {
    /// Starts to count what the daemon has not; `bpf` is present if BPF is used.
    pub fn begin(
        roots: &Roots,
        patch: &PatchFile,
        objects: &ObjectFacts,
        known: &Rates,
        bpf: Result<(CallCounters, &mut TaskIterator), &str>,
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
        let started = why_not(roots).map_or(bpf, Err);
        match started {
            Ok((mut counters, iterator)) => {
                counting.attach(&mut counters, iterator, &at, notes);
                counting.counters = Some(counters);
            }
            Err(why) => notes.push(format!(
                "Calls of the functions to be patched were not counted: {why}."
            )),
        }
        if left > 0 {
            notes.push(format!(
                "Calls of the first {COUNTED_MAX} functions were counted; those of {left} more were not."
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
                Err(error) => {
                    notes.push(format!("Calls of {} were not counted: {error}.", id.name));
                }
            }
        }
    }

    /// Between two samples: detaches the counters that have counted enough, and all
    /// if a transition has begun.
    pub fn update(&mut self, roots: &Roots, notes: &mut Vec<String>) {
        if self.running.is_empty() {
            return;
        }
        if is_in_transition(roots) {
            self.detach(|_, _| true);
            notes.push("The call counters were detached, because a transition began.".to_owned());
            return;
        }
        self.detach(|calls, time| rate(calls, time).is_some_and(|rate| rate >= PLENTY));
    }

    /// Detaches all counters.
    pub fn end(mut self) -> Rates {
        self.detach(|_, _| true);
        self.rates
    }

    /// Reads all counters and detaches those for which `enough` is true.
    fn detach(&mut self, enough: impl Fn(u64, Duration) -> bool) {
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
                let rate = CallRate {
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

/// `None` if the time is too short for a rate.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate need not be exact beyond 2^52 calls"
)]
fn rate(calls: u64, time: Duration) -> Option<f64> {
    (time >= LEAST).then(|| calls as f64 / time.as_secs_f64())
}

/// Why no calls may be counted now.
fn why_not(roots: &Roots) -> Option<&'static str> {
    if !roots.is_live() {
        return Some("a recorded tree is read");
    }
    if ftrace::is_enabled(roots) != Some(true) {
        return Some("ftrace is switched off, or its state is unknown");
    }
    if is_in_transition(roots) {
        return Some("a transition is in progress");
    }
    may_count_ahead().err()
}

/// Also true if this cannot be read.
fn is_in_transition(roots: &Roots) -> bool {
    engine::read_all(roots).map_or(true, |systems| {
        systems.patches.iter().any(|patch| patch.in_transition)
    })
}

#[cfg(test)]
mod tests;
