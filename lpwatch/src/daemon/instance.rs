//! One daemon per socket: the lock, and the socket itself.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use crate::error::Error;

use super::web::Listener;

/// The right to serve a socket, and the socket. Dropping it removes both. The
/// kernel also releases the lock when the process is killed.
pub(super) struct Instance {
    pub listener: Listener,
    path: PathBuf,
    _lock: File,
}

impl Instance {
    /// Takes the lock, removes a dead daemon's socket and listens.
    pub fn claim(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(file("create", directory))?;
        }
        let lock = take_lock(path)?;
        clear_away(path)?;
        let listener = UnixListener::bind(path).map_err(file("listen on", path))?;
        fs::set_permissions(path, Permissions::from_mode(0o660))
            .map_err(file("set the mode of", path))?;
        let listener = Listener::unix(listener, path.display().to_string());
        Ok(Self {
            listener,
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket cannot be removed");
        }
    }
}

fn take_lock(socket: &Path) -> Result<File, Error> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(&path)
        .map_err(file("open", &path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let pid = lock
                .read_to_string(&mut pid)
                .ok()
                .and_then(|_| pid.trim().parse().ok());
            return Err(Error::DaemonRuns {
                socket: socket.to_owned(),
                pid,
            });
        }
        Err(error) => return Err(file("lock", &path)(error.into())),
    }
    // The pid is only for the message above: a full disk costs the pid and
    // nothing else.
    let written = lock
        .set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| writeln!(lock, "{}", std::process::id()));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "the pid cannot be written to the lock file");
    }
    Ok(lock)
}

/// Removes a socket on which nothing listens (this process holds the lock), and
/// nothing else.
fn clear_away(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).map_err(file("remove", path))
        }
        Ok(_) => Err(Error::NotASocket {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file("inspect", path)(error)),
    }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}
