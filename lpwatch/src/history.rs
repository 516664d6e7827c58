//! The history: events and transitions that survive the daemon, the boot and a power
//! loss.
//!
//! [`Store`] is an `SQLite` file, [`HistoryWriter`] a thread that writes to it. Nothing
//! here can stop a daemon: what cannot be written is reported, and the daemon goes on.

mod error;
mod query;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::HistoryError;
pub use query::{EntryFilter, RecordFilter};
pub use store::{Opened, Store};
pub use writer::{HistoryWriter, WriterNote, WriterState};

/// Where the history is kept unless told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/lpwatch";

/// The name of the file in that folder.
const FILE: &str = "history.db";

/// How much to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest size of the file, in bytes.
    pub size: u64,
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 64 << 20,
            age: Duration::from_hours(400 * 24),
        }
    }
}

/// The file of the history in `folder`.
#[must_use]
pub fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
