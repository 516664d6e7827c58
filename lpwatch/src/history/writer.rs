//! The thread that writes the history.
//!
//! The loop that follows the kernel never waits for the disk: it hands over what is
//! new, and goes on. Without anything new the thread sleeps.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

use crate::model::journal::{Entry, Record};

use super::{HistoryError, Limits, Store, file};

/// What waits for the thread, in batches.
const QUEUE: usize = 256;

/// What is kept for a disk that may be written again, in batches.
const PENDING: usize = 1024;

/// Batches that are written at a time.
const AT_ONCE: usize = 64;

/// What is new at one moment.
#[derive(Debug)]
struct Batch {
    entries: Vec<Entry>,
    records: Vec<Record>,
}

/// What is wrong with the history, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterNote {
    pub text: String,
    /// Whether it can be written nevertheless.
    pub is_written: bool,
}

/// The state of the thread: a note if something is wrong.
pub type WriterState = watch::Receiver<Option<WriterNote>>;

/// The handle of the thread. Dropping it ends the thread, after what was handed over
/// is written.
#[derive(Debug)]
pub struct HistoryWriter {
    sender: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    state: WriterState,
    /// Batches that did not fit.
    lost: u64,
}

impl HistoryWriter {
    /// Starts the thread. `store` is `None` if the history could not be opened, for the
    /// reason in `note`; the thread then tries again when there is something to write.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub fn start(
        folder: PathBuf,
        limits: Limits,
        store: Option<Store>,
        note: Option<String>,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let is_written = store.is_some();
        let note = note.map(|text| WriterNote { text, is_written });
        let (notes, state) = watch::channel(note);
        let worker = Worker {
            folder,
            limits,
            had_file: is_written,
            store,
            notes,
            pending: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("lpwatch-history".to_owned())
            .spawn(move || worker.run(&receiver))?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
            state,
            lost: 0,
        })
    }

    /// What is wrong, if anything is.
    #[must_use]
    pub fn state(&self) -> WriterState {
        self.state.clone()
    }

    /// Hands over what is new; never waits.
    pub fn write(&mut self, entries: Vec<Entry>, records: Vec<Record>) {
        let Some(sender) = &self.sender else { return };
        match sender.try_send(Batch { entries, records }) {
            Ok(()) => self.lost = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.lost == 0 {
                    tracing::warn!("the history is written too slowly: events are left out");
                }
                self.lost += 1;
            }
        }
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the history panicked");
        }
    }
}

struct Worker {
    folder: PathBuf,
    limits: Limits,
    store: Option<Store>,
    /// Whether there was a file, which may be gone.
    had_file: bool,
    notes: watch::Sender<Option<WriterNote>>,
    /// What could not be written yet.
    pending: VecDeque<Batch>,
}

impl Worker {
    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            self.keep(batch);
            for batch in batches.try_iter().take(AT_ONCE) {
                self.keep(batch);
            }
            self.write();
        }
    }

    fn keep(&mut self, batch: Batch) {
        if self.pending.len() == PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(batch);
    }

    fn write(&mut self) {
        let mut note = None;
        match self.try_write(&mut note) {
            Ok(()) => {
                self.pending.clear();
                // That a file was set aside or is gone stays to be read.
                let is_lasting = |note: &WriterNote| note.is_written;
                let lasts = self.notes.borrow().as_ref().is_some_and(is_lasting);
                if note.is_some() || !lasts {
                    let is_written = true;
                    self.tell(note.map(|text| WriterNote { text, is_written }));
                }
            }
            Err(error) => {
                // What is wrong may be gone next time.
                self.store = None;
                self.tell(Some(WriterNote {
                    text: cannot_write(&error),
                    is_written: false,
                }));
            }
        }
    }

    fn try_write(&mut self, note: &mut Option<String>) -> Result<(), HistoryError> {
        for again in [true, false] {
            let is_usable = self.store.as_ref().is_some_and(Store::is_in_place);
            if !is_usable {
                self.store = None;
                let is_gone = self.had_file && !file(&self.folder).exists();
                let opened = Store::open(&self.folder, self.limits)?;
                *note = opened
                    .note
                    .or_else(|| is_gone.then(|| vanished(&self.folder)));
                self.store = Some(opened.store);
                self.had_file = true;
            }
            let Some(store) = &mut self.store else { break };
            let entries: Vec<Entry> = self
                .pending
                .iter()
                .flat_map(|batch| batch.entries.iter().cloned())
                .collect();
            let records: Vec<Record> = self
                .pending
                .iter()
                .flat_map(|batch| batch.records.iter().cloned())
                .collect();
            match store.add(&entries, &records) {
                // Opening it again sets it aside.
                Err(error) if again && error.is_corrupt() => self.store = None,
                added => return added,
            }
        }
        Ok(())
    }

    fn tell(&self, note: Option<WriterNote>) {
        self.notes.send_if_modified(|last| {
            if *last == note {
                return false;
            }
            if let Some(note) = &note {
                tracing::warn!("{}", note.text);
            } else {
                tracing::info!("the history is written again");
            }
            *last = note;
            true
        });
    }
}

/// The note about a file that is no longer there.
fn vanished(folder: &Path) -> String {
    format!(
        "The history has vanished: {} is gone, with all that it held. lpwatch began a new one.",
        file(folder).display()
    )
}

/// The note about a history that cannot be written.
#[must_use]
pub fn cannot_write(error: &HistoryError) -> String {
    format!(
        "The history cannot be written: {error}. lpwatch goes on without it, and tries again at \
         the next event."
    )
}
