//! What can go wrong.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{fleet::prometheus::PrometheusError, kernel::ReadError};

/// What can go wrong.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{0}")]
    NoLivepatch(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("no live patch named `{name}` is loaded; {known}")]
    NoSuchPatch { name: String, known: String },
    #[error("another lpwatch daemon{} already serves {}", by(*.pid), .socket.display())]
    DaemonRuns { socket: PathBuf, pid: Option<u32> },
    #[error("{} is there and is no socket; lpwatch does not delete it: choose another path with --socket", .path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot {action} {}: {source}{}", .path.display(), needs_root(.source))]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the daemon at {} does not answer as it should: {reason}", .socket.display())]
    Daemon { socket: PathBuf, reason: String },
    #[error("cannot listen on {address}: {source}{}", and_then(.source))]
    Listen { address: String, source: io::Error },
    #[error("cannot use the sockets of systemd: {0}")]
    SystemdSocket(String),
    #[error(transparent)]
    Fleet(#[from] PrometheusError),
    #[error(
        "Prometheus at {url} knows of no host for {{{hosts}}}: is lpwatch scraped under another \
         job (--job), or does --selector leave none?"
    )]
    NoHosts { url: String, hosts: String },
    #[error("the web configuration {} cannot be used: {reason}", .path.display())]
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

/// What to do about an address that cannot be listened on.
fn and_then(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, perhaps another lpwatch, listens there: choose another with \
             --web.listen-address, or none with --web.disable"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this host has no such address now (for 127.0.0.1, is `lo` up?): choose another \
             with --web.listen-address, or none with --web.disable"
        }
        _ => needs_root(source),
    }
}
