//! The newest events, for those who ask and those who follow.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::watch;

use crate::{
    history::{EntryFilter, HistoryError, Store, WriterNote, WriterState},
    model::journal::Entry,
};

/// The events in memory. Older ones are in the history.
const HELD: usize = 1024;

/// The newest events.
#[derive(Debug)]
pub(crate) struct EventLog {
    held: Mutex<VecDeque<Entry>>,
    /// The id of the newest one.
    newest: watch::Sender<u64>,
    /// Where the history is; `None` if none is kept.
    folder: Option<PathBuf>,
    /// What is wrong with the history.
    state: OnceLock<WriterState>,
}

/// The events after one that a reader has.
#[derive(Debug, PartialEq)]
pub(crate) struct Later {
    pub entries: Vec<Entry>,
    /// How many between them and that one are no longer held.
    pub lost: u64,
}

impl EventLog {
    /// An empty log; `last` is the id of the last event of an earlier daemon.
    pub fn new(last: u64, folder: Option<PathBuf>) -> Self {
        Self {
            held: Mutex::default(),
            newest: watch::channel(last).0,
            folder,
            state: OnceLock::new(),
        }
    }

    /// Takes the state of the history, to be asked for.
    pub fn keep_state(&self, state: WriterState) {
        // It is given once.
        let _ = self.state.set(state);
    }

    /// Whether the last event was written; `None` if no history is kept.
    pub fn is_written(&self) -> Option<bool> {
        let state = self.state.get()?;
        let is_written = |note: &WriterNote| note.is_written;
        Some(state.borrow().as_ref().is_none_or(is_written))
    }

    /// Adds events, and gives them their ids.
    pub fn push(&self, entries: &mut [Entry]) {
        if entries.is_empty() {
            return;
        }
        let mut held = self.held();
        let mut id = *self.newest.borrow();
        for entry in entries {
            id += 1;
            entry.id = id;
            if held.len() == HELD {
                held.pop_front();
            }
            held.push_back(entry.clone());
        }
        drop(held);
        self.newest.send_replace(id);
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the history is.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The id of the newest event, now and whenever it changes.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Those in memory with a higher id than `last`, which was one of this daemon's.
    pub fn later(&self, last: u64) -> Later {
        let held = self.held();
        let first = held.front().map_or(last + 1, |entry| entry.id);
        let later = held.iter().filter(|entry| entry.id > last);
        Later {
            entries: later.cloned().collect(),
            lost: first.saturating_sub(last + 1),
        }
    }

    /// Those that `filter` selects, oldest first, with those of the history. It reads a
    /// file.
    pub fn read(&self, filter: &EntryFilter) -> (Vec<Entry>, Option<HistoryError>) {
        let filter = self.own(filter);
        let held: Vec<Entry> = self.held().iter().cloned().collect();
        let first = held.first().map_or_else(|| self.next(), |entry| entry.id);
        let reaches_back = filter.after.is_none_or(|after| after + 1 < first);
        let folder = self.folder.as_deref().filter(|_| reaches_back);
        let older = folder.map(|folder| {
            let before = Some(first);
            Store::read(folder)?.entries(&EntryFilter {
                before,
                ..filter.clone()
            })
        });
        let (mut entries, error) = match older {
            Some(Ok(older)) => (older, None),
            Some(Err(error)) => (Vec::new(), Some(error)),
            None => (Vec::new(), None),
        };
        entries.extend(held.into_iter().filter(|entry| filter.matches(entry)));
        let surplus = entries.len().saturating_sub(filter.limit);
        entries.drain(..surplus);
        (entries, error)
    }

    /// How many `filter` selects without its limit. It reads a file; if that fails, it
    /// counts those in memory.
    pub fn count(&self, filter: &EntryFilter) -> u64 {
        let filter = self.own(filter);
        let (first, number) = {
            let held = self.held();
            let first = held.front().map_or_else(|| self.next(), |entry| entry.id);
            let number = held.iter().filter(|entry| filter.matches(entry)).count();
            (first, number as u64)
        };
        let before = Some(filter.before.map_or(first, |before| before.min(first)));
        let older = self.folder.as_deref().map(|folder| {
            Store::read(folder)?.count(&EntryFilter {
                before,
                ..filter.clone()
            })
        });
        number + older.and_then(Result::ok).unwrap_or_default()
    }

    /// An id that this log has not reached is of another history.
    fn own(&self, filter: &EntryFilter) -> EntryFilter {
        let newest = *self.newest.borrow();
        EntryFilter {
            after: filter.after.filter(|after| *after <= newest),
            ..filter.clone()
        }
    }

    /// The id of the next event.
    fn next(&self) -> u64 {
        *self.newest.borrow() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::samples;

    fn log(number: usize) -> EventLog {
        let log = EventLog::new(10, None);
        log.push(&mut vec![samples::entry("lp_fix"); number]);
        log
    }

    fn ids(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn ids_continue_those_of_the_earlier_daemon() {
        let log = log(3);
        assert_eq!(ids(&log.later(10).entries), [11, 12, 13]);
        assert_eq!(ids(&log.later(12).entries), [13]);
        assert_eq!(*log.newest().borrow(), 13);
    }

    #[test]
    fn a_reader_that_is_too_slow_learns_how_many_it_missed() {
        let log = log(HELD + 5);
        let later = log.later(12);
        assert_eq!((later.entries.len(), later.lost), (HELD, 3));
        assert_eq!(log.later(20).lost, 0);
    }

    #[test]
    fn an_id_of_another_history_selects_everything() {
        let log = log(3);
        let after = |after| EntryFilter {
            after: Some(after),
            limit: 2,
            ..EntryFilter::default()
        };
        assert_eq!(ids(&log.read(&after(11)).0), [12, 13]);
        assert_eq!(ids(&log.read(&after(13)).0), [] as [u64; 0]);
        assert_eq!(ids(&log.read(&after(99)).0), [12, 13]);
    }
}
