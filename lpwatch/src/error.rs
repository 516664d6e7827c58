//! The errors of this library.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    fleet::prometheus::PrometheusError, history::HistoryError, kernel::ReadError, text::quoted,
};

/// The errors of this library.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{0}")]
    NoLivepatch(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("no live patch named `{name}` is loaded{hint}")]
    NoSuchPatch { name: String, hint: String },
    /// Its last transition was reversed, cancelled or refused.
    #[error("no live patch named `{name}` is loaded: its last transition was {outcome}{hint}")]
    PatchFailed {
        name: String,
        outcome: &'static str,
        hint: String,
    },
    /// An ordinary module, or another kind of file.
    #[error("{name} is not a live patch: {what}. To list the loaded patches:\n    lpwatch status")]
    NotAPatch { name: String, what: &'static str },
    /// What cannot be known without rights, and how to get them.
    #[error("{0}")]
    NoRights(String),
    #[error("another lpwatch daemon{} already serves {}", by(*.pid), .socket.display())]
    DaemonRuns { socket: PathBuf, pid: Option<u32> },
    #[error("{} exists and is not a socket, so lpwatch does not replace it; choose another path with --socket", .path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot {action} {}: {source}{}", .path.display(), needs_root(.source))]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// It gave no answer, or an invalid one; `reason` is the rest of the sentence.
    #[error("the daemon at {} {reason}", .socket.display())]
    Daemon { socket: PathBuf, reason: String },
    /// It ended before it answered: until the kernel has closed its socket, one can still
    /// connect to a daemon that was killed.
    #[error("the daemon at {} closed the connection before it answered", .socket.display())]
    DaemonEnded { socket: PathBuf },
    /// Nobody answers at the socket that the user has given.
    #[error(
        "no daemon answers at {}: {reason}. Without --socket lpwatch asks the daemon at {default}, or \
         reads this host itself", 
        .socket.display()
    )]
    NoDaemon {
        socket: PathBuf,
        reason: &'static str,
        /// The socket without --socket.
        default: &'static str,
    },
    /// The Unix socket of the daemon.
    #[error("cannot {action} {}: {source}{}", .path.display(), needs_root_or_path(.source))]
    Socket {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "cannot listen on {}: the folder {} does not exist. To create it:\n    mkdir -p {}",
        .socket.display(), .folder.display(), quoted(&.folder.to_string_lossy())
    )]
    NoFolder { socket: PathBuf, folder: PathBuf },
    #[error("cannot listen on {address}: {source}{}", listen_hint(.source))]
    Listen { address: String, source: io::Error },
    #[error("cannot use the sockets from systemd: {0}")]
    SystemdSocket(String),
    /// No event and no transition is known, and why.
    #[error("{0}")]
    NoHistory(String),
    #[error("cannot read the history: {0}")]
    History(HistoryError),
    #[error(transparent)]
    Fleet(#[from] PrometheusError),
    #[error("cannot use the web configuration {}: {reason}", .path.display())]
    WebConfig { path: PathBuf, reason: String },
    #[error("cannot {action}: {source}")]
    Io {
        action: &'static str,
        source: io::Error,
    },
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

fn needs_root(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied {
        " (run as root)"
    } else {
        ""
    }
}

/// What a user without rights can do about a daemon's socket.
fn needs_root_or_path(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied {
        "; run lpwatch as root, or choose another path with --socket"
    } else {
        ""
    }
}

/// What to do if lpwatch cannot listen on an address.
fn listen_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, perhaps another lpwatch, uses this address: choose another with \
             --web.listen-address, or none with --web.disable"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this host does not have this address now (for 127.0.0.1, is `lo` up?): choose \
             another with --web.listen-address, or none with --web.disable"
        }
        _ => needs_root(source),
    }
}
