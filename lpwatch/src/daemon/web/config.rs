//! `--web.config.file`: the file that Prometheus's exporters share. It is read
//! again when it or a file it names changes.
//!
//! No timer runs for that: the times of the files are compared at each
//! connection and request, and only a changed file is read.

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

pub(super) use users::{Authenticator, Users};

/// The contents of the file, ready for use.
#[derive(Debug, Default)]
pub(in crate::daemon) struct WebConfig {
    /// `None`: without TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub users: Users,
    /// Headers of every response.
    pub headers: HeaderMap,
}

/// A configuration, and the files it comes from.
#[derive(Debug, Default)]
pub(in crate::daemon) struct LiveConfig {
    path: Option<PathBuf>,
    held: Mutex<CurrentConfig>,
}

#[derive(Debug, Default)]
struct CurrentConfig {
    loaded: Arc<WebConfig>,
    /// As of the last reading, successful or not.
    files: Files,
}

/// Files, each with its stamp.
type Files = Vec<(PathBuf, Option<Stamp>)>;

/// Differs once a file has changed: device, inode, size, times of change in
/// nanoseconds.
type Stamp = (u64, u64, u64, i128, i128);

impl LiveConfig {
    /// Reads the configuration; without a path there is none.
    ///
    /// # Errors
    /// [`Error::WebConfig`] if it is bad.
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
            held: Mutex::new(CurrentConfig {
                loaded: Arc::new(loaded),
                files,
            }),
        })
    }

    /// The configuration in force. A file that has become bad changes nothing,
    /// and is reported once for each change.
    pub fn current(&self) -> Arc<WebConfig> {
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
                    "the web configuration has changed and is bad; the old one stays in force: {reason}"
                ),
            }
        }
        held.loaded.clone()
    }
}

/// Reads the configuration, and the stamps from before the reading: a change
/// during it is noticed.
fn stamped(path: &Path) -> (Files, Result<WebConfig, String>) {
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
