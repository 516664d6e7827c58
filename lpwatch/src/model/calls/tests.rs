//! The tracker on plain values: to which code each call is assigned, in every
//! order of turns, readings and losses.

mod effects;
mod phases;
mod turns;

use std::time::Duration;

use jiff::Timestamp;
use lpwatch_common::calls::{STATE_NONE, STATE_PATCHED, STATE_UNPATCHED, bucket};

use super::{
    Buckets, CallTracker, CallsReading, Counter, Entries, FunctionId, FunctionReading, Turn,
    figures::{Calls, Finding, FindingKind, PhaseCalls},
};
use crate::model::{Direction, EngineKind, Moment, ObjectView, PatchView, SystemView};

const NONE: usize = STATE_NONE;
const OLD: usize = STATE_UNPATCHED;
const NEW: usize = STATE_PATCHED;

fn id(name: &str) -> FunctionId {
    FunctionId {
        object: "vmlinux".to_owned(),
        name: name.to_owned(),
        sympos: 1,
    }
}

fn moment(seconds: f64) -> Moment {
    let boot = Duration::from_secs_f64(seconds);
    let wall = Timestamp::from_second(1_800_000_000).unwrap() + boot;
    Moment { boot, wall }
}

/// A patch in sysfs.
#[derive(Clone, Copy)]
struct SeenPatch<'a> {
    name: &'a str,
    functions: &'a [&'a str],
    enabled: bool,
    in_transition: bool,
    order: Option<u32>,
}

const fn on<'a>(name: &'a str, functions: &'a [&'a str]) -> SeenPatch<'a> {
    SeenPatch {
        name,
        functions,
        enabled: true,
        in_transition: false,
        order: None,
    }
}

const fn turning<'a>(name: &'a str, functions: &'a [&'a str], enabled: bool) -> SeenPatch<'a> {
    SeenPatch {
        name,
        functions,
        enabled,
        in_transition: true,
        order: None,
    }
}

/// A tracker, and the kernel's counters as a test moves them.
#[derive(Default)]
struct CallHost {
    tracker: CallTracker,
    epoch: u32,
    now: f64,
    /// Of the function `f`.
    calls: Buckets,
    missed: u64,
    missed_entries: u64,
    since: f64,
    entries: Vec<(String, u64)>,
}

impl CallHost {
    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = seconds;
        self
    }

    fn begin(&mut self, patch: &str, direction: Direction, replace: bool) -> &mut Self {
        self.epoch = lpwatch_common::calls::transition_after(self.epoch);
        let turn = Turn::Begun {
            epoch: self.epoch,
            patch: patch.to_owned(),
            direction,
            replace: Some(replace),
        };
        self.tracker.turn(turn, moment(self.now));
        self
    }

    fn end(&mut self, direction: Direction) -> &mut Self {
        self.epoch = lpwatch_common::calls::rest_after(self.epoch);
        let turn = Turn::Ended {
            epoch: self.epoch,
            direction: Some(direction),
        };
        self.tracker.turn(turn, moment(self.now));
        self
    }

    fn see(&mut self, patches: &[SeenPatch<'_>]) -> &mut Self {
        let patches = patches.iter().map(|seen| PatchView {
            enabled: Some(seen.enabled),
            in_transition: seen.in_transition,
            stack_order: seen.order,
            objects: vec![ObjectView {
                name: "vmlinux".to_owned(),
                patched: Some(true),
                functions: seen
                    .functions
                    .iter()
                    .map(|name| ((*name).to_owned(), 1))
                    .collect(),
            }],
            ..PatchView::new(seen.name.to_owned(), EngineKind::Livepatch)
        });
        self.tracker.observe(&SystemView {
            read_at: moment(self.now).boot,
            patches: patches.collect(),
            ..SystemView::default()
        });
        self
    }

    /// Calls of `f` by tasks in this state, in the epoch now.
    fn call(&mut self, state: usize, times: u64) -> &mut Self {
        self.calls[bucket(self.epoch, state)] += times;
        self
    }

    /// Calls of `f` that its hook is not told of.
    fn miss(&mut self, times: u64) -> &mut Self {
        self.missed += times;
        self
    }

    /// Calls that reach the new function of a patch.
    fn enter(&mut self, patch: &str, times: u64) -> &mut Self {
        match self.entries.iter_mut().find(|(of, _)| of == patch) {
            Some((_, entries)) => *entries += times,
            None => self.entries.push((patch.to_owned(), times)),
        }
        self
    }

    /// Entries that their hook is not told of.
    fn miss_entries(&mut self, times: u64) -> &mut Self {
        self.missed_entries += times;
        self
    }

    fn read(&mut self) -> &mut Self {
        let entries = self.entries.iter().map(|(patch, entries)| {
            let mut calls = Buckets::default();
            calls[0] = *entries;
            Entries {
                patch: patch.clone(),
                function: format!("{patch}_f"),
                before: *entries,
                counter: Counter::Counting {
                    kind: "kprobe",
                    since: Duration::ZERO,
                    calls: Box::new(calls),
                    missed: self.missed_entries,
                    missed_together: 0,
                },
            }
        });
        let function = FunctionReading {
            id: id("f"),
            asked: true,
            counter: Counter::Counting {
                kind: "kprobe",
                since: moment(self.since).boot,
                calls: Box::new(self.calls),
                missed: self.missed,
                missed_together: 0,
            },
            entries: entries.collect(),
            suspects: Vec::new(),
        };
        self.tracker.read(CallsReading {
            at: moment(self.now).boot,
            epoch: self.epoch,
            functions: vec![function],
            ftrace_off: false,
        });
        self
    }

    fn calls(&self, patch: &str) -> Calls {
        let calls = self.tracker.calls(patch, &id("f"), &moment(self.now));
        calls.unwrap_or_else(|| panic!("{patch} has no calls"))
    }

    fn finding(&self, patch: &str, kind: FindingKind) -> Option<Finding> {
        let findings = self.calls(patch).findings;
        findings.into_iter().find(|finding| finding.kind == kind)
    }

    /// A patch of `f` that was applied at 10 s, after `before` calls.
    fn applied(before: u64) -> Self {
        let mut host = Self::default();
        host.at(0.0).see(&[]).read();
        host.at(10.0)
            .call(NONE, before)
            .begin("p", Direction::Patching, false);
        host.at(10.1).see(&[turning("p", &["f"], false)]).read();
        host.at(11.0).end(Direction::Patching);
        host.at(11.1).see(&[on("p", &["f"])]).read();
        host
    }
}

fn sums(phase: Option<&PhaseCalls>) -> (u64, u64) {
    phase.map_or((0, 0), |phase| (phase.old, phase.new))
}
