//! All counted functions, and the patches of each epoch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    CallsReading, Counter, FunctionId, FunctionReading, Turn,
    effect::CONFIRMED_AFTER,
    epochs::Timeline,
    figures::{Calls, Watched},
    function::{CountedReading, TrackedFunction},
    show,
};
use crate::model::{Moment, SystemView};

/// Combines turns, readings of sysfs and readings of the counters into the calls of
/// each function.
#[derive(Debug, Default)]
pub struct CallTracker {
    timeline: Timeline,
    functions: BTreeMap<FunctionId, TrackedFunction>,
    missing: BTreeMap<FunctionId, Missing>,
    /// The patches that sysfs shows.
    there: BTreeSet<String>,
    ftrace_off: bool,
}

/// A function that is not counted.
#[derive(Debug)]
struct Missing {
    why: String,
    asked: bool,
}

impl CallTracker {
    /// Adds a turn that happened at `at`.
    pub fn turn(&mut self, turn: Turn, at: Moment) {
        self.timeline.turn(turn, at);
    }

    /// Adds a reading of all patches, made after all turns so far.
    pub fn observe(&mut self, view: &SystemView) {
        self.timeline.observe(view);
        let names = view.livepatches().map(|patch| patch.name.clone());
        self.there = names.collect();
    }

    /// Adds a reading of the counters. A reading from an epoch that was not reported
    /// yet is dropped: counts only grow, so the next reading contains it.
    pub fn read(&mut self, reading: CallsReading) {
        let CallsReading {
            at,
            epoch,
            functions,
            ftrace_off,
        } = reading;
        self.ftrace_off = ftrace_off;
        let there: BTreeSet<&FunctionId> = functions.iter().map(|function| &function.id).collect();
        self.functions.retain(|id, _| there.contains(id));
        self.missing.clear();
        for function in functions {
            self.read_one(function, at, epoch);
        }
    }

    fn read_one(&mut self, reading: FunctionReading, at: Duration, epoch: u32) {
        let FunctionReading {
            id,
            asked,
            counter,
            entries,
            suspects,
        } = reading;
        let (kind, since, calls, missed, missed_together) = match counter {
            Counter::Counting {
                kind,
                since,
                calls,
                missed,
                missed_together,
            } => (kind, since, calls, missed, missed_together),
            Counter::Missing(why) => {
                self.functions.remove(&id);
                self.missing.insert(id, Missing { why, asked });
                return;
            }
        };
        // Another counter begins at 0.
        if self
            .functions
            .get(&id)
            .is_some_and(|function| function.since != since)
        {
            self.functions.remove(&id);
        }
        let Self {
            timeline,
            functions,
            there,
            ..
        } = self;
        let first = timeline.number_at(since).unwrap_or(epoch);
        let function = functions
            .entry(id.clone())
            .or_insert_with(|| TrackedFunction::new(kind, since, first));
        function.asked = asked;
        function.suspects = suspects;
        function.missed_together = missed_together;
        let reading = CountedReading {
            at,
            epoch,
            calls: &calls,
            missed,
            entries: &entries,
        };
        if function.take(&id, &reading, timeline) {
            let now = timeline.now();
            function.retain(|patch| {
                there.contains(patch) || now.is_some_and(|state| state.position(patch).is_some())
            });
        }
    }

    /// The calls of a patch's function; `None` if they are not counted.
    #[must_use]
    pub fn calls(&self, patch: &str, function: &FunctionId, now: &Moment) -> Option<Calls> {
        let counted = self.functions.get(function)?;
        let record = counted.records.get(patch)?;
        let shown = show::Shown {
            name: &function.name,
            patch,
            function: counted,
            state: self.timeline.now(),
            ftrace_off: self.ftrace_off,
        };
        Some(shown.record(record, now))
    }

    /// Why a function of a patch is not counted.
    #[must_use]
    pub fn why_not(&self, function: &FunctionId) -> Option<&str> {
        self.missing
            .get(function)
            .map(|missing| missing.why.as_str())
    }

    /// The functions that the user asked for and that no patch changes.
    #[must_use]
    pub fn watched(&self, now: &Moment) -> Vec<Watched> {
        let is_patched = |id: &FunctionId| {
            self.there
                .iter()
                .any(|patch| self.timeline.changes(patch, id) == Some(true))
        };
        let watched = |id: &FunctionId, calls, not_counted| Watched {
            object: id.object.clone(),
            name: id.name.clone(),
            sympos: id.sympos,
            calls,
            not_counted,
        };
        let counted = self.functions.iter().filter(|(_, function)| function.asked);
        let counted = counted.map(|(id, function)| {
            let calls = show::unpatched(&id.name, function, self.ftrace_off, now);
            (id, Some(calls), None)
        });
        let missing = self.missing.iter().filter(|(_, missing)| missing.asked);
        let missing = missing.map(|(id, missing)| (id, None, Some(missing.why.clone())));
        let mut all: Vec<Watched> = counted
            .chain(missing)
            .filter(|(id, ..)| !is_patched(id))
            .map(|(id, calls, not_counted)| watched(id, calls, not_counted))
            .collect();
        all.sort_by(|one, other| (&one.object, &one.name).cmp(&(&other.object, &other.name)));
        all
    }

    /// Whether the counters should be read again soon, because new code that should
    /// run was not entered.
    #[must_use]
    pub fn recheck(&self) -> Option<Duration> {
        let doubtful = self.functions.values().any(TrackedFunction::is_doubtful);
        (doubtful || self.timeline.is_waiting()).then_some(CONFIRMED_AFTER)
    }

    /// Whether readings wait for the event of a turn.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.timeline.is_waiting()
    }

    /// The functions whose other hooks matter, because their new code is not entered
    /// as it should be.
    #[must_use]
    pub fn doubted(&self) -> BTreeSet<FunctionId> {
        let doubted = self
            .functions
            .iter()
            .filter(|(_, function)| function.is_doubtful() || function.is_ineffective());
        doubted.map(|(id, _)| id.clone()).collect()
    }
}
