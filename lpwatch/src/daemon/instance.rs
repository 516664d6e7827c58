//! One daemon per socket: the lock, and the socket itself.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio::{
    net::UnixListener,
    time::{Instant, sleep},
};

use crate::{error::Error, kernel::ending::is_ending};

use super::{DEFAULT_SOCKET, web::Listener};

/// How long to wait for a daemon that is ending: the kernel takes a while to detach
/// its hooks, and then releases its files.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks at it.
const AGAIN: Duration = Duration::from_millis(50);

/// The right to serve a socket, and the socket. Dropping it removes both. The
/// kernel also releases the lock when the process is killed.
pub(super) struct Instance {
    pub listener: Listener,
    path: PathBuf,
    _lock: File,
    /// The daemon before this one, while it may still hold its addresses.
    before: Option<Predecessor>,
}

/// A daemon that was ending when this one came.
#[derive(Clone, Copy, Debug)]
struct Predecessor {
    pid: u32,
    until: Instant,
}

impl Instance {
    /// Takes the lock, removes a dead daemon's socket and listens. Waits for a daemon
    /// that is ending; one that lives is an error at once.
    pub async fn claim(path: &Path) -> Result<Self, Error> {
        provide_folder(path)?;
        let (lock, before) = take_lock(path).await?;
        clear_away(path)?;
        let listener = UnixListener::bind(path).map_err(file("listen on", path))?;
        fs::set_permissions(path, Permissions::from_mode(0o660))
            .map_err(file("set the mode of", path))?;
        let listener = Listener::unix(listener, path.display().to_string());
        Ok(Self {
            listener,
            path: path.to_owned(),
            _lock: lock,
            before,
        })
    }

    /// Opens further sockets. Those of a daemon that is ending are awaited.
    pub async fn open<T>(&self, mut open: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match open() {
                Err(Error::Listen { source, .. })
                    if source.kind() == io::ErrorKind::AddrInUse
                        && self.before.is_some_and(Predecessor::lingers) => {}
                opened => return opened,
            }
            sleep(AGAIN).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket cannot be removed");
        }
    }
}

impl Predecessor {
    /// Whether it may still hold something.
    fn lingers(self) -> bool {
        let procfs = Path::new("/proc");
        Instant::now() < self.until
            && procfs.join(self.pid.to_string()).exists()
            && is_ending(procfs, self.pid) == Some(true)
    }
}

/// Creates the folder of the default socket. Another one must exist: a mistyped path
/// must not create folders.
fn provide_folder(socket: &Path) -> Result<(), Error> {
    let folder = socket.parent().unwrap_or(Path::new(""));
    if Some(folder) == Path::new(DEFAULT_SOCKET).parent() {
        return fs::create_dir_all(folder).map_err(file("create", folder));
    }
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    if !folder.as_os_str().is_empty() && fs::metadata(folder).is_err_and(is_missing) {
        return Err(Error::NoFolder {
            socket: socket.to_owned(),
            folder: folder.to_owned(),
        });
    }
    Ok(())
}

async fn take_lock(socket: &Path) -> Result<(File, Option<Predecessor>), Error> {
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
    let mut before = None;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(file("lock", &path)(error.into())),
        }
        let pid = pid_in(&mut lock);
        let ending = pid.filter(|pid| is_ending(Path::new("/proc"), *pid) == Some(true));
        let Predecessor { until, .. } = match (before, ending) {
            (Some(before), Some(_)) => before,
            (None, Some(pid)) => {
                tracing::warn!(
                    "the daemon with pid {pid} is ending; waiting for at most {} s until it has \
                     released {}",
                    ENDS_WITHIN.as_secs(),
                    socket.display()
                );
                let until = Instant::now() + ENDS_WITHIN;
                *before.insert(Predecessor { pid, until })
            }
            (_, None) => return Err(runs(socket, pid)),
        };
        if Instant::now() >= until {
            return Err(runs(socket, pid));
        }
        sleep(AGAIN).await;
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
    Ok((lock, before))
}

/// The pid that the holder of the lock has written.
fn pid_in(lock: &mut File) -> Option<u32> {
    let mut pid = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

fn runs(socket: &Path, pid: Option<u32>) -> Error {
    Error::DaemonRuns {
        socket: socket.to_owned(),
        pid,
    }
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
    move |source| Error::Socket {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Holds the lock of `socket` in another process, which does not end by itself.
    fn holder(socket: &Path) -> std::process::Child {
        let lock = format!("{}.lock", socket.display());
        let script = "exec 9>\"$0\"; flock 9; echo $$ >\"$0\"; echo held; exec sleep 60 9<&9";
        let mut child = Command::new("sh")
            .args(["-c", script, &lock])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = [0; 5];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut held)
            .unwrap();
        child
    }

    #[tokio::test]
    async fn a_daemon_that_lives_is_refused_at_once_and_a_killed_one_awaited() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lpwatch.sock");
        let mut holder = holder(&socket);
        let start = Instant::now();
        let refused = Instance::claim(&socket).await.err();
        assert!(
            matches!(&refused, Some(Error::DaemonRuns { pid, .. }) if *pid == Some(holder.id())),
            "{refused:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
        // Not reaped yet: it is there, as an ending process is.
        holder.kill().unwrap();
        let claimed = Instance::claim(&socket).await.unwrap();
        holder.wait().unwrap();
        drop(claimed);
    }

    #[tokio::test]
    async fn only_the_default_folder_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let refused = Instance::claim(&missing.join("lpwatch.sock")).await.err();
        let text = refused.unwrap().to_string();
        assert!(
            text.contains("does not exist") && text.contains("\n    mkdir -p "),
            "{text}"
        );
        assert!(!folder.path().join("a").exists());
        let denied = Error::Socket {
            action: "create",
            path: folder.path().to_owned(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert!(denied.to_string().contains("--socket"), "{denied}");
    }

    #[tokio::test]
    async fn a_daemon_that_never_ends_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lpwatch.sock");
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let lock = folder.path().join("lpwatch.sock.lock");
        fs::write(&lock, format!("{}\n", gone.id())).unwrap();
        let held = File::open(&lock).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        tokio::time::pause();
        let start = Instant::now();
        let refused = Instance::claim(&socket).await.err();
        assert!(
            matches!(refused, Some(Error::DaemonRuns { .. })),
            "{refused:?}"
        );
        assert!(start.elapsed() >= ENDS_WITHIN && start.elapsed() < 2 * ENDS_WITHIN);
    }
}
