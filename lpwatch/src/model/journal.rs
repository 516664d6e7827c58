//! The journal: what happened on a host, each thing once, in order.
//!
//! [`Journal::take`] compares each [`Snapshot`] with what the earlier ones showed. It
//! is pure, as the rest of the model: the time comes in as an argument.

mod documents;
mod entry;
mod gap;
mod news;
mod patches;
mod record;
mod run;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{EngineKind, Moment, Outcome, Snapshot, snapshot::PastTransition};

pub use documents::{EventLine, EventsDocument, HistoryDocument};
pub use entry::{Details, Entry, EntryKind};
pub use news::News;
pub use record::{FunctionCalls, HeldBlocker, Record, RecordKey};

use gap::WatchGap;
use news::Draft;
use run::Run;

/// A function of a patch: the patch, the object, its name and sympos.
type PatchFunctionKey = (String, String, String, u32);

/// Compares snapshots, and remembers what was already reported.
#[derive(Debug, Default)]
pub struct Journal {
    boot_id: Option<String>,
    previous: Option<Arc<Snapshot>>,
    /// When that was taken, since boot.
    looked: Duration,
    runs: BTreeMap<(EngineKind, String), Run>,
    /// The functions whose new code was entered.
    entered: BTreeSet<PatchFunctionKey>,
    /// The functions whose new code should run, and does not.
    ineffective: BTreeSet<PatchFunctionKey>,
}

impl Journal {
    /// An empty journal of the boot with this id.
    #[must_use]
    pub fn new(boot_id: Option<String>) -> Self {
        Self {
            boot_id,
            ..Self::default()
        }
    }

    /// What `next` shows for the first time. `ended` are the transitions that ended
    /// since the last call, oldest first.
    pub fn take(&mut self, next: &Arc<Snapshot>, ended: &[PastTransition], now: &Moment) -> News {
        let mut news = News::new(self.boot_id.clone(), *now);
        let previous = self.previous.replace(next.clone());
        let looked = mem::replace(&mut self.looked, now.boot);
        match &previous {
            None => self.begin(next, now, &mut news),
            Some(previous) => news.note_lost(previous, next),
        }
        for past in ended {
            self.end(&latest(past, next), previous.as_deref(), &mut news);
        }
        self.follow_runs(next, &mut news);
        if let Some(previous) = &previous {
            patches::changes(previous, next, ended, &mut news);
            patches::stops(previous, next, &mut news);
        }
        self.follow_calls(next, previous.is_some(), &mut news);
        if let Some(gap) = previous.and_then(|previous| WatchGap::of(&previous, looked, &news)) {
            self.runs.values_mut().for_each(|run| run.note_gap(&gap));
            news.note_gap(&gap);
        }
        news.sort();
        news
    }

    /// The first snapshot: what it shows happened before.
    fn begin(&mut self, next: &Snapshot, now: &Moment, news: &mut News) {
        let loaded = next.patches.len();
        let plural = if loaded == 1 { "" } else { "es" };
        news.push(Draft::new(
            EntryKind::WatchBegan,
            format!("lpwatch began to watch this host. {loaded} patch{plural} loaded."),
        ));
        for past in next.last_transitions.iter().rev() {
            let record = Record::of(past, self.boot_id.clone(), now).reconstructed();
            news.earlier.push(record);
        }
    }

    /// A transition has ended.
    fn end(&mut self, past: &PastTransition, previous: Option<&Snapshot>, news: &mut News) {
        let mut record = Record::of(past, self.boot_id.clone(), news.now());
        let key = past.engine.zip(past.patch.clone());
        let run = key.as_ref().and_then(|key| self.runs.remove(key));
        match run {
            Some(run) => run.end(past, &mut record, news),
            None if past.direction.is_some() => run::begun_unseen(past, news),
            None => {}
        }
        if let Some(patch) = &past.patch {
            record.functions = previous
                .and_then(|previous| previous.patch(patch))
                .map(record::functions)
                .unwrap_or_default();
            if past.outcome != Outcome::Completed || !is_enabling(past) {
                self.entered.retain(|(of, ..)| of != patch);
                self.ineffective.retain(|(of, ..)| of != patch);
            }
        }
        news.push(record.draft());
        news.records.push(record);
    }

    /// The transitions under way.
    fn follow_runs(&mut self, next: &Snapshot, news: &mut News) {
        for patch in &next.patches {
            let Some(transition) = &patch.transition else {
                continue;
            };
            let key = (patch.engine, patch.name.clone());
            let run = self
                .runs
                .entry(key)
                .or_insert_with(|| Run::begin(patch, transition, news));
            run.follow(patch, transition, news);
        }
        // The end of a transition that was seen is always reported. One that is gone
        // without it cannot be followed any more.
        let runs = |patch: &super::snapshot::Patch| {
            (patch.transition.is_some()).then(|| (patch.engine, patch.name.clone()))
        };
        let under_way: BTreeSet<_> = next.patches.iter().filter_map(runs).collect();
        self.runs.retain(|key, _| under_way.contains(key));
    }

    /// The calls of new code, as far as they change.
    fn follow_calls(&mut self, next: &Snapshot, reports: bool, news: &mut News) {
        for patch in &next.patches {
            let Some(changes) = patches::calls(patch, &self.entered, &self.ineffective) else {
                continue;
            };
            if reports && patch.enabled != Some(false) {
                changes.report(patch, news);
            }
            self.entered.extend(changes.entered);
            self.ineffective.extend(changes.lost);
            for key in &changes.regained {
                self.ineffective.remove(key);
            }
        }
    }
}

/// Whether it made a patch take effect.
fn is_enabling(past: &PastTransition) -> bool {
    past.direction == Some(super::Direction::Patching)
}

/// The same transition as the snapshot shows it: the error of a refusal can be known
/// later than its end.
fn latest(past: &PastTransition, next: &Snapshot) -> PastTransition {
    let is_same = |other: &&PastTransition| {
        (&other.patch, other.ended_at, other.outcome) == (&past.patch, past.ended_at, past.outcome)
    };
    let mut all = next.last_transitions.iter();
    all.find(is_same).unwrap_or(past).clone()
}

/// The time since boot at a wall time near `now`.
fn boot_at(now: &Moment, wall: Timestamp) -> Duration {
    let ago = now.wall.duration_since(wall);
    let magnitude = ago.unsigned_abs();
    if ago > SignedDuration::ZERO {
        now.boot.saturating_sub(magnitude)
    } else {
        now.boot.saturating_add(magnitude)
    }
}
