//! Why the history cannot be read or written.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the history cannot be read or written.
#[derive(Debug, Error)]
pub enum HistoryError {
    #[error("{} does not exist", .path.display())]
    Missing { path: PathBuf },
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} was written by a newer lpwatch (schema {found}; this one knows {known})", .path.display())]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("{} is not a history of lpwatch", .path.display())]
    Foreign { path: PathBuf },
    #[error("{}: {source}", .path.display())]
    Store {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("an entry of {} cannot be converted: {source}", .path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
}

impl HistoryError {
    /// Whether the contents of the file are damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ) || matches!(self, Self::Foreign { .. })
    }

    /// Whether the user may not read or write the file.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            _ => self.code() == Some(ErrorCode::PermissionDenied),
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Store { source, .. } => source.sqlite_error_code(),
            _ => None,
        }
    }
}
