//! What one snapshot adds to the journal.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Moment, Snapshot, snapshot::Severity, time::seconds};

use super::{Details, Entry, EntryKind, Record, boot_at, gap::WatchGap};

/// What one snapshot adds: entries without an id, and the transitions that ended.
#[derive(Debug, Default)]
pub struct News {
    boot_id: Option<String>,
    now: Moment,
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The transitions that ended. Their ends are among the entries.
    pub records: Vec<Record>,
    /// The transitions that ended before lpwatch watched, as far as the kernel log
    /// reports them. They are among the entries of an earlier daemon, if one watched.
    pub earlier: Vec<Record>,
}

/// An entry, before its time is known to the journal.
#[derive(Debug)]
pub(super) struct Draft {
    pub at: Option<Timestamp>,
    pub patch: Option<String>,
    pub kind: EntryKind,
    pub severity: Severity,
    pub message: String,
    pub details: Details,
}

impl Draft {
    pub fn new(kind: EntryKind, message: String) -> Self {
        Self {
            at: None,
            patch: None,
            kind,
            severity: Severity::Note,
            message,
            details: Details::default(),
        }
    }

    pub fn of(mut self, patch: &str) -> Self {
        self.patch = Some(patch.to_owned());
        self
    }

    pub fn at(mut self, at: Option<Timestamp>) -> Self {
        self.at = at;
        self
    }

    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub fn danger(mut self) -> Self {
        self.severity = Severity::Danger;
        self
    }

    pub fn with(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// The entry; `now` relates its wall time to the boot clock.
    pub fn entry(self, boot_id: Option<String>, now: &Moment) -> Entry {
        let at = self.at.unwrap_or(now.wall);
        Entry {
            id: 0,
            at,
            boot_seconds: seconds(boot_at(now, at)),
            boot_id,
            patch: self.patch,
            kind: self.kind,
            severity: self.severity,
            message: self.message,
            details: self.details,
        }
    }
}

impl News {
    pub(super) fn new(boot_id: Option<String>, now: Moment) -> Self {
        Self {
            boot_id,
            now,
            ..Self::default()
        }
    }

    pub(super) fn now(&self) -> &Moment {
        &self.now
    }

    pub(super) fn boot(&self) -> Duration {
        self.now.boot
    }

    pub(super) fn push(&mut self, draft: Draft) {
        self.entries
            .push(draft.entry(self.boot_id.clone(), &self.now));
    }

    /// The entry that replaces `lost` entries that a reader did not take in time. Its id
    /// is that of the last of them.
    #[must_use]
    pub fn left_out(lost: u64, last: u64, boot_id: Option<String>, now: &Moment) -> Entry {
        let plural = if lost == 1 { " was" } else { "s were" };
        let message = format!("{lost} event{plural} left out, because the reader was too slow.");
        let draft = Draft::new(EntryKind::EventsLost, message).warning();
        let draft = draft.with(Details {
            lost: Some(lost),
            ..Details::default()
        });
        Entry {
            id: last,
            ..draft.entry(boot_id, now)
        }
    }

    /// Whether nothing is new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty() && self.earlier.is_empty()
    }

    pub(super) fn note_lost(&mut self, previous: &Snapshot, next: &Snapshot) {
        let lost = next.events_lost.saturating_sub(previous.events_lost);
        if lost > 0 {
            let plural = if lost == 1 { "" } else { "s" };
            let message = format!(
                "{lost} event{plural} of the kernel could not be recorded, because lpwatch did \
                 not read them in time. lpwatch read the state again; steps in between can be \
                 missing."
            );
            let details = Details {
                lost: Some(lost),
                ..Details::default()
            };
            self.push(
                Draft::new(EntryKind::EventsLost, message)
                    .warning()
                    .with(details),
            );
        }
    }

    pub(super) fn note_gap(&mut self, gap: &WatchGap) {
        self.records
            .iter_mut()
            .for_each(|record| gap.add_to(record));
        self.push(gap.draft(&self.now));
    }

    /// What is said if lpwatch did not run for a while.
    #[must_use]
    pub fn interruption(&self) -> Option<&str> {
        let is_one = |entry: &&Entry| entry.kind == EntryKind::WatchInterrupted;
        let found = self.entries.iter().find(is_one);
        found.map(|entry| entry.message.as_str())
    }

    /// Whether a transition begins or has ended.
    #[must_use]
    pub fn has_transition(&self) -> bool {
        let is_one = |entry: &Entry| entry.kind == EntryKind::TransitionBegun;
        !self.records.is_empty() || self.entries.iter().any(is_one)
    }

    /// Puts the entries in the order in which they happened.
    pub(super) fn sort(&mut self) {
        self.entries
            .sort_by(|one, other| one.boot_seconds.total_cmp(&other.boot_seconds));
    }
}
