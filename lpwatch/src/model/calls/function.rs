//! One counted function: converts its raw counts to calls of old and new code.

use std::{collections::BTreeMap, time::Duration};

use lpwatch_common::calls::{EPOCHS, STATE_NONE, STATES};

use super::{
    FunctionId,
    epochs::{Code, Epoch, State, Timeline},
    reading::{Buckets, Entries},
    record::{CallPeriod, CallRecord, TransitionStage, applies, bucket_of},
    series::{Series, Split, Stretches},
};

/// A function that is counted.
#[derive(Clone, Debug)]
pub(super) struct TrackedFunction {
    pub kind: &'static str,
    /// When the counter began, since boot.
    pub since: Duration,
    pub asked: bool,
    last: Buckets,
    last_missed: u64,
    /// Calls that were missed of this function or of others that its hook counts.
    pub missed_together: u64,
    last_at: Duration,
    last_epoch: u32,
    /// Calls of the original code, and of the code of any patch.
    pub calls: Split,
    /// Calls since counting began, or since a patch of it was last removed.
    pub base: CallPeriod,
    /// Calls whose code is unknown.
    pub uncertain: u64,
    pub series: Series,
    pub rates: Stretches,
    pub records: BTreeMap<String, CallRecord>,
    /// Possible reasons why new code is not entered.
    pub suspects: Vec<String>,
}

/// The part of a reading that concerns one function.
pub(super) struct CountedReading<'a> {
    pub at: Duration,
    pub epoch: u32,
    pub calls: &'a Buckets,
    pub missed: u64,
    pub entries: &'a [Entries],
}

impl TrackedFunction {
    pub fn new(kind: &'static str, since: Duration, first_epoch: u32) -> Self {
        Self {
            kind,
            since,
            asked: false,
            last: Buckets::default(),
            last_missed: 0,
            missed_together: 0,
            last_at: since,
            last_epoch: first_epoch,
            calls: Split::default(),
            base: CallPeriod::default(),
            uncertain: 0,
            series: Series::default(),
            rates: Stretches::default(),
            records: BTreeMap::new(),
            suspects: Vec::new(),
        }
    }

    /// Adds a reading; `false` if it must wait for a turn.
    pub fn take(
        &mut self,
        id: &FunctionId,
        reading: &CountedReading<'_>,
        timeline: &mut Timeline,
    ) -> bool {
        let Some(epochs) = timeline.between(self.last_epoch, reading.epoch, reading.at) else {
            return false;
        };
        let affected = epochs
            .iter()
            .any(|epoch| touches(id, &epoch.state, timeline));
        for (index, epoch) in epochs.iter().enumerate() {
            let next = epochs.get(index + 1);
            let end = next.map_or(reading.at, |next| next.began.min(reading.at));
            let time = end.saturating_sub(epoch.began.max(self.last_at));
            let is_ambiguous = is_ambiguous(epoch, &epochs);
            self.enter(id, epoch, timeline);
            for state in 0..STATES {
                let bucket = bucket_of(epoch, state);
                let (now, last) = (reading.calls.get(bucket), self.last.get_mut(bucket));
                let (Some(now), Some(last)) = (now, last) else {
                    continue;
                };
                let calls = now.wrapping_sub(*last);
                *last = *now;
                let code = if is_ambiguous {
                    Code::Unknown
                } else {
                    timeline.code(id, epoch, state)
                };
                self.add(epoch, state, code, calls);
            }
            self.base.time += time;
            for (patch, record) in &mut self.records {
                record.add_time(patch, epoch, time);
            }
        }
        let missed = reading.missed.saturating_sub(self.last_missed);
        self.last_missed = reading.missed;
        self.add_missed(id, &epochs, missed, timeline);
        self.last_at = reading.at;
        self.last_epoch = reading.epoch;
        self.close(reading, affected, epochs.last());
        true
    }

    /// Creates a record for each patch that changes this function in this epoch.
    fn enter(&mut self, id: &FunctionId, epoch: &Epoch, timeline: &Timeline) {
        let is_new = epoch.began > self.last_at;
        let patches: Vec<String> = match &epoch.state {
            State::Rest(stack) => stack.downwards().map(str::to_owned).collect(),
            State::Transition { patch, stack, .. } => {
                let below = stack.downwards().map(str::to_owned);
                below.chain([patch.clone()]).collect()
            }
            State::Unknown => return,
        };
        for patch in patches {
            if timeline.changes(&patch, id) != Some(true) {
                continue;
            }
            let counted_before = applies(&patch, &epoch.state) && self.base.time > Duration::ZERO;
            let (base, rates) = (self.base, &self.rates);
            let record = self
                .records
                .entry(patch.clone())
                .or_insert_with(|| CallRecord {
                    before: counted_before.then_some(CallPeriod {
                        calls: Split {
                            old: base.calls.all(),
                            new: 0,
                        },
                        time: base.time,
                    }),
                    before_rates: if counted_before {
                        rates.clone()
                    } else {
                        Stretches::default()
                    },
                    ..CallRecord::default()
                });
            if is_new && TransitionStage::of(&patch, &epoch.state) == TransitionStage::During {
                record.begin_transition();
            }
        }
    }

    fn add(&mut self, epoch: &Epoch, state: usize, code: Code<'_>, calls: u64) {
        if calls == 0 {
            return;
        }
        match code {
            Code::Unknown => {
                self.uncertain = self.uncertain.wrapping_add(calls);
                return;
            }
            Code::Original => self.calls.add(false, calls),
            Code::Patch(_) => self.calls.add(true, calls),
        }
        self.base.calls.add(code != Code::Original, calls);
        for (patch, record) in &mut self.records {
            record.add(patch, epoch, state, code, calls);
        }
    }

    /// Adds calls of which only the number is known. Their code is known if all calls
    /// since the last reading ran the same code.
    fn add_missed(&mut self, id: &FunctionId, epochs: &[Epoch], calls: u64, timeline: &Timeline) {
        match epochs {
            [epoch] if epoch.state.turning().is_none() => {
                let code = timeline.code(id, epoch, STATE_NONE);
                self.add(epoch, STATE_NONE, code, calls);
            }
            _ => self.uncertain = self.uncertain.wrapping_add(calls),
        }
    }

    fn close(&mut self, reading: &CountedReading<'_>, affected: bool, epoch: Option<&Epoch>) {
        let CountedReading { at, entries, .. } = *reading;
        self.series.push(at, self.calls);
        if affected {
            self.rates.restart();
        } else {
            self.rates.push(at, self.calls.all());
        }
        for (patch, record) in &mut self.records {
            let stage = epoch.map_or(TransitionStage::Outside, |epoch| {
                TransitionStage::of(patch, &epoch.state)
            });
            let entries = entries.iter().find(|entries| entries.patch == *patch);
            record.close(at, entries, stage);
        }
    }

    /// Removes the records of patches that are gone: later calls count as before the
    /// next patch.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        let records = self.records.len();
        self.records.retain(|patch, _| is_there(patch));
        if self.records.len() < records {
            self.base = CallPeriod::default();
            self.rates.restart();
        }
    }

    /// Whether it should be read again soon.
    pub fn is_doubtful(&self) -> bool {
        self.records.values().any(|record| {
            let effect = record.effect.as_ref();
            effect.is_some_and(super::effect::EffectTracker::is_doubtful)
        })
    }

    /// Whether new code that should run does not.
    pub fn is_ineffective(&self) -> bool {
        self.records.values().any(|record| {
            let effect = record.effect.as_ref();
            effect.is_some_and(|effect| effect.effective == Some(false))
        })
    }
}

/// Whether the transition in this state changes which code of the function runs.
fn touches(id: &FunctionId, state: &State, timeline: &Timeline) -> bool {
    state
        .turning()
        .is_some_and(|(patch, _)| timeline.changes(patch, id) != Some(false))
}

/// Whether another epoch's calls are in the same buckets.
fn is_ambiguous(epoch: &Epoch, epochs: &[Epoch]) -> bool {
    let shares = |other: &&Epoch| {
        other.number != epoch.number
            && other.number as usize % EPOCHS == epoch.number as usize % EPOCHS
    };
    epochs.iter().any(|other| shares(&other))
}
