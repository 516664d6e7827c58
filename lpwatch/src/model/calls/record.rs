//! The calls of one function before, during and after one patch.

use std::time::Duration;

use super::{
    effect::{EffectTracker, EntriesAround},
    epochs::{Code, Epoch, State},
    reading::{Counter, Entries},
    series::{Series, Split, Stretches},
};
use crate::model::Direction;
use lpwatch_common::calls::{STATE_NONE, bucket};

/// Calls in a period of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CallPeriod {
    pub calls: Split,
    pub time: Duration,
}

/// The three phases of a patch. Each is `None` until something was counted in it.
#[derive(Clone, Debug, Default)]
pub(super) struct CallRecord {
    pub before: Option<CallPeriod>,
    pub during: Option<CallPeriod>,
    pub after: Option<CallPeriod>,
    /// In the current or the last transition.
    pub this_transition: Split,
    /// Calls of the code of patches above this one.
    pub above: u64,
    pub series: Series,
    /// The call rates before.
    pub before_rates: Stretches,
    pub effect: Option<EffectTracker>,
    /// How many of the missing entries are those of calls during a transition.
    pub missing_during: u64,
    /// Why entries of the new function are not counted.
    pub no_entries: Option<String>,
}

/// The stage of a patch in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransitionStage {
    During,
    After,
    /// Neither enabled nor in transition.
    Outside,
}

impl TransitionStage {
    pub fn of(patch: &str, state: &State) -> Self {
        match (state.turning(), state.position(patch)) {
            (Some((turning, _)), _) if turning == patch => Self::During,
            (_, Some(_)) => Self::After,
            (_, None) => Self::Outside,
        }
    }
}

impl CallRecord {
    /// Adds calls of this code by tasks in this state.
    pub fn add(&mut self, patch: &str, epoch: &Epoch, state: usize, code: Code<'_>, calls: u64) {
        let own = epoch.state.position(patch);
        let is_new = match code {
            Code::Unknown => return,
            Code::Original => false,
            Code::Patch(of) if of == patch => true,
            Code::Patch(of) => {
                if own.is_some() && epoch.state.position(of) > own {
                    self.above += calls;
                    return;
                }
                false
            }
        };
        let stage = TransitionStage::of(patch, &epoch.state);
        if stage == TransitionStage::During && state != STATE_NONE {
            self.this_transition.add(is_new, calls);
        }
        let is_early = stage == TransitionStage::During && state == STATE_NONE && !is_new;
        let phase = match (stage, &mut self.before) {
            // The transition has not reached that task yet.
            (TransitionStage::During, Some(before)) if is_early => before,
            (TransitionStage::During, _) => self.during.get_or_insert_default(),
            (TransitionStage::After, _) => self.after.get_or_insert_default(),
            (TransitionStage::Outside, _) => return,
        };
        phase.calls.add(is_new, calls);
    }

    /// Adds the counting time of this epoch.
    pub fn add_time(&mut self, patch: &str, epoch: &Epoch, time: Duration) {
        let phase = match TransitionStage::of(patch, &epoch.state) {
            TransitionStage::During => self.during.get_or_insert_default(),
            TransitionStage::After => self.after.get_or_insert_default(),
            TransitionStage::Outside => return,
        };
        phase.time += time;
    }

    /// A transition of this patch begins.
    pub fn begin_transition(&mut self) {
        self.this_transition = Split::default();
    }

    /// All calls so far, assigned by the patches of each epoch.
    fn inferred(&self) -> Split {
        let mut sum = Split::default();
        for phase in [&self.before, &self.during, &self.after]
            .into_iter()
            .flatten()
        {
            sum.old += phase.calls.old;
            sum.new += phase.calls.new;
        }
        sum
    }

    /// All calls so far. Calls that should have led to the new function and did not
    /// do not count as new code.
    pub fn sum(&self) -> Split {
        self.inferred().moved(self.missing())
    }

    /// During the transition, corrected by the measured effect.
    pub fn during(&self) -> Option<CallPeriod> {
        let (during, _) = self.missing_by_phase();
        self.during.map(|phase| phase.moved(during))
    }

    /// After the transition, corrected by the measured effect.
    pub fn after(&self) -> Option<CallPeriod> {
        let (_, after) = self.missing_by_phase();
        self.after.map(|phase| phase.moved(after))
    }

    fn missing(&self) -> u64 {
        self.effect.as_ref().map_or(0, EffectTracker::missing)
    }

    /// The missing entries of calls during the transition, and after it.
    fn missing_by_phase(&self) -> (u64, u64) {
        let missing = self.missing();
        let after = self.after.map_or(0, |phase| phase.calls.new);
        let after = missing.saturating_sub(self.missing_during).min(after);
        (missing - after, after)
    }

    /// Adds the entries of the new function, which were counted just after the calls.
    pub fn close(&mut self, at: Duration, entries: Option<&Entries>, stage: TransitionStage) {
        let missing = self.missing();
        self.compare(at, entries);
        if stage == TransitionStage::During {
            self.missing_during += self.missing().saturating_sub(missing);
        }
        self.series.push(at, self.sum());
    }

    fn compare(&mut self, at: Duration, entries: Option<&Entries>) {
        let expected = self.inferred().new;
        match entries.map(|entries| (&entries.function, entries.before, &entries.counter)) {
            Some((
                function,
                before,
                Counter::Counting {
                    kind: _,
                    since,
                    calls,
                    missed,
                    missed_together: _,
                },
            )) => {
                let seen = calls.iter().copied().fold(0, u64::wrapping_add);
                let entered = EntriesAround {
                    before: before.wrapping_add(*missed),
                    after: seen.wrapping_add(*missed),
                };
                match &mut self.effect {
                    Some(effect) if effect.is_of(function, *since) => {
                        effect.take(at, expected, entered);
                    }
                    _ => {
                        self.effect = Some(EffectTracker::new(function, *since, expected, entered));
                    }
                }
                self.no_entries = None;
            }
            Some((_, _, Counter::Missing(why))) => self.lose_effect(Some(why.clone())),
            None => self.lose_effect(None),
        }
    }

    /// Keeps the last result, but it may no longer be true.
    fn lose_effect(&mut self, why: Option<String>) {
        self.no_entries = why;
        if let Some(effect) = &mut self.effect {
            effect.lose();
        }
    }
}

impl CallPeriod {
    /// With this number of calls moved from the new code to the old.
    fn moved(self, calls: u64) -> Self {
        Self {
            calls: self.calls.moved(calls),
            time: self.time,
        }
    }
}

impl Split {
    pub fn add(&mut self, is_new: bool, calls: u64) {
        let counted = if is_new { &mut self.new } else { &mut self.old };
        *counted = counted.wrapping_add(calls);
    }

    /// With this number of calls moved from the new code to the old.
    fn moved(self, calls: u64) -> Self {
        let calls = calls.min(self.new);
        Self {
            old: self.old + calls,
            new: self.new - calls,
        }
    }
}

/// Whether an epoch begins a transition that enables this patch.
pub(super) fn applies(patch: &str, state: &State) -> bool {
    state.turning() == Some((patch, Direction::Patching))
}

/// The bucket of an epoch and state.
pub(super) fn bucket_of(epoch: &Epoch, state: usize) -> usize {
    bucket(epoch.number, state)
}
