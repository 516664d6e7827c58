//! `--web.config.file`: the file that Prometheus's exporters share, read again
//! when it or a file it names changes.
//!
//! Nothing wakes the daemon for that: files are looked at (their times, not
//! their contents) when a connection or a request comes, and only a change has
//! them read.

mod file;
#[cfg(test)]
mod tests;
mod tls;
mod users;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::HeaderMap;
use tokio_rustls::rustls;

use crate::error::Error;

use file::load;

pub(super) use users::{Doorkeeper, Users};

/// What the file says, ready for use.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Loaded {
    /// `None`: without TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub users: Users,
    /// Headers for every answer.
    pub headers: HeaderMap,
}

/// A configuration, and the files it comes from.
#[derive(Debug, Default)]
pub(in crate::daemon) struct LiveConfig {
    path: Option<PathBuf>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    loaded: Arc<Loaded>,
    /// As they were when they were last read, with or without success.
    files: Files,
}

/// Files, and how each was.
type Files = Vec<(PathBuf, Option<Stamp>)>;

/// What changes with a file: device, inode, size, times of change in
/// nanoseconds.
type Stamp = (u64, u64, u64, i128, i128);

impl LiveConfig {
    /// Reads it; without a path there is nothing to configure.
    ///
    /// # Errors
    /// [`Error::WebConfig`] if it is not as it should be.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let (files, loaded) = stamped(path);
        let loaded = loaded.map_err(|reason| Error::WebConfig {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: Some(path.to_owned()),
            held: Mutex::new(Held {
                loaded: Arc::new(loaded),
                files,
            }),
        })
    }

    /// What holds now. A file that has become bad changes nothing, and is said
    /// once for each change.
    pub fn current(&self) -> Arc<Loaded> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = held.files.iter().any(|(path, seen)| stamp(path) != *seen);
        if let Some(path) = self.path.as_deref().filter(|_| changed) {
            let (files, loaded) = stamped(path);
            held.files = files;
            match loaded {
                Ok(loaded) => {
                    tracing::info!(path = %path.display(), "the web configuration was read again");
                    held.loaded = Arc::new(loaded);
                }
                Err(reason) => tracing::error!(
                    path = %path.display(),
                    "the web configuration has changed and is bad, so the old one stays: {reason}"
                ),
            }
        }
        held.loaded.clone()
    }
}

/// Reads it, and how its files were before: what changes meanwhile is noticed.
fn stamped(path: &Path) -> (Files, Result<Loaded, String>) {
    let before = stamp(path);
    let mut files = vec![(path.to_owned(), before)];
    let loaded = load(path, |named| {
        files.push((named.to_owned(), stamp(named)));
    });
    (files, loaded)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        nanos(found.mtime(), found.mtime_nsec()),
        nanos(found.ctime(), found.ctime_nsec()),
    ))
}
