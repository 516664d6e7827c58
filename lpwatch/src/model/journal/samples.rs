//! Sample entries and records for tests.

use std::time::Duration;

use crate::model::{
    Moment, Outcome,
    samples::{now, past, trend},
    snapshot::PastTransition,
};

use super::{Entry, EntryKind, Record, news::Draft};

pub(crate) fn moment() -> Moment {
    Moment {
        boot: Duration::from_secs(100_000),
        wall: now(),
    }
}

pub(crate) fn entry(patch: &str) -> Entry {
    let draft = Draft::new(EntryKind::PatchEnabled, format!("{patch} is enabled.")).of(patch);
    draft.entry(Some("boot".to_owned()), &moment())
}

/// The record of this transition, with a course and a task.
pub(crate) fn record(past: &PastTransition) -> Record {
    let mut record = Record::of(past, Some("boot".to_owned()), &moment());
    record.course = trend(&[(0.0, 98), (1.0, 0)]);
    record
}

/// The record of a transition of this patch that completed so many seconds ago.
pub(crate) fn completed(patch: &str, seconds_ago: i64) -> Record {
    let mut past = past(patch, Outcome::Completed);
    past.ended_at = now() - jiff::SignedDuration::from_secs(seconds_ago);
    past.started_at = Some(past.ended_at - jiff::SignedDuration::from_millis(1260));
    record(&past)
}
