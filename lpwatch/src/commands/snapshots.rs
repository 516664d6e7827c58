//! Snapshots: from the daemon if one runs, otherwise from this process. Both give
//! the same document.

use std::{os::unix::fs::FileTypeExt as _, path::Path, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    daemon::{
        DEFAULT_SOCKET,
        client::{Absent, Client, Snapshots},
    },
    error::Error,
    model::{Snapshot, check::CheckReport},
    observe::{
        follow::{FollowHandle, follow},
        observer::{Hooking, Observer, ObserverOptions},
    },
};

use super::args::Globals;

/// Why a state does not come from a daemon.
pub enum NoDaemon {
    /// None runs, or none may be asked, and nothing needs to be said about that.
    Absent,
    /// This user may not use its socket; the rest of a sentence.
    Denied(String),
    /// It is there, and does not answer.
    Broken(Error),
    /// The daemon at the socket that the user has given does not answer.
    Failed(Error),
}

impl NoDaemon {
    /// The note for the reader, if there is one.
    pub fn note(self) -> Result<Option<String>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Denied(reason) => Ok(Some(format!("The daemon was not asked: {reason}."))),
            Self::Broken(error) => Ok(Some(match &error {
                Error::Daemon { .. } | Error::DaemonEnded { .. } => {
                    format!(
                        "No state comes from a daemon: {error}. lpwatch has read this host itself."
                    )
                }
                _ => format!("No daemon was asked: {error}."),
            })),
            Self::Failed(error) => Err(error),
        }
    }

    /// The error if something needs a daemon; `absent` if none runs.
    pub fn error(self, absent: impl FnOnce() -> Error) -> Error {
        match self {
            Self::Absent => absent(),
            Self::Denied(reason) => Error::NoRights(reason),
            Self::Broken(error) | Self::Failed(error) => error,
        }
    }

    /// A daemon that was not given by the user is not required.
    fn of(globals: &Globals, error: Error) -> Self {
        if globals.socket.is_some() {
            Self::Failed(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// The current state.
pub async fn now(globals: &Globals) -> Result<Snapshot, Error> {
    let note = match from_daemon(globals).await {
        Ok(snapshot) => return Ok(snapshot),
        Err(missing) => missing.note()?,
    };
    let observer = Observer::single_look(&globals.observer_options())?;
    let mut snapshot = observer.snapshot(&globals.thresholds.thresholds());
    snapshot.notes.extend(note);
    Ok(snapshot)
}

/// The state from the daemon.
pub async fn from_daemon(globals: &Globals) -> Result<Snapshot, NoDaemon> {
    let mut snapshot = client_status(connect(globals).await?)
        .await
        .map_err(|error| NoDaemon::of(globals, error))?;
    if let Some(thresholds) = globals.thresholds.instead_of(snapshot.thresholds) {
        snapshot.judge(&thresholds);
    }
    Ok(snapshot)
}

/// Fails if the user has given a socket at which no daemon answers.
pub async fn require_given(globals: &Globals) -> Result<(), Error> {
    match connect(globals).await {
        Err(NoDaemon::Failed(error)) => Err(error),
        Err(NoDaemon::Absent | NoDaemon::Denied(_) | NoDaemon::Broken(_)) | Ok(_) => Ok(()),
    }
}

/// Passes the report of a check to the daemon, if one runs: the daemon shows it
/// beside the patch.
pub async fn report_check(globals: &Globals, report: &CheckReport) {
    let sent = match connect(globals).await {
        Ok(mut client) => client.note_check(report).await,
        Err(_) => Ok(()),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "the daemon does not show this check");
    }
}

async fn client_status(mut client: Client) -> Result<Snapshot, Error> {
    client.status().await
}

/// A connection to the daemon.
pub(super) async fn connect(globals: &Globals) -> Result<Client, NoDaemon> {
    if !globals.may_ask_daemon() {
        return Err(NoDaemon::Absent);
    }
    let socket = globals.socket();
    let is_given = globals.socket.is_some();
    match Client::connect(socket).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(Absent::NotRunning)) if is_given => Err(NoDaemon::Failed(Error::NoDaemon {
            socket: socket.to_owned(),
            reason: why_nobody_answers(socket),
            default: DEFAULT_SOCKET,
        })),
        Ok(Err(Absent::NotRunning)) => Err(NoDaemon::Absent),
        Ok(Err(Absent::NoPermission)) => {
            let reason = format!(
                "no permission to use {}. Run lpwatch as root, or as a member of the socket's group",
                socket.display()
            );
            Err(if is_given {
                NoDaemon::Failed(Error::NoRights(reason))
            } else {
                NoDaemon::Denied(reason)
            })
        }
        Err(error) => Err(NoDaemon::of(globals, error)),
    }
}

/// Why nobody answers at this path.
fn why_nobody_answers(socket: &Path) -> &'static str {
    match socket.metadata() {
        Ok(found) if found.is_dir() => "it is a directory",
        Ok(found) if !found.file_type().is_socket() => "it is not a socket",
        Ok(_) => "nothing listens on it",
        Err(_) => "no such file exists",
    }
}

/// The states from now on, one after each change.
pub struct SnapshotStream<'a> {
    globals: &'a Globals,
    /// The hooks to attach if no daemon runs.
    hooks: Hooking,
    source: StreamSource,
}

enum StreamSource {
    Daemon(Snapshots),
    Local(LocalFollower),
}

/// A follow loop in this process, for when no daemon runs.
struct LocalFollower {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    followed: FollowHandle,
    first: bool,
    task: JoinHandle<Result<(), Error>>,
}

impl Drop for LocalFollower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<'a> SnapshotStream<'a> {
    pub async fn open(globals: &'a Globals) -> Result<Self, Error> {
        Self::new(globals, Hooking::Nothing).await
    }

    /// The same with call counts.
    pub async fn counting(globals: &'a Globals) -> Result<Self, Error> {
        Self::new(globals, Hooking::Calls).await
    }

    async fn new(globals: &'a Globals, hooks: Hooking) -> Result<Self, Error> {
        match connect(globals).await {
            Err(NoDaemon::Failed(error)) => return Err(error),
            Err(NoDaemon::Absent | NoDaemon::Denied(_) | NoDaemon::Broken(_)) => {}
            Ok(client) => match client.stream().await {
                Ok(snapshots) => {
                    return Ok(Self {
                        globals,
                        hooks,
                        source: StreamSource::Daemon(snapshots),
                    });
                }
                Err(error) if globals.socket.is_some() => return Err(error),
                Err(error) => tracing::warn!(%error, "following without the daemon"),
            },
        }
        Ok(Self {
            globals,
            hooks,
            source: StreamSource::Local(LocalFollower::start(globals, hooks)?),
        })
    }

    /// The next state. If the daemon ends, this process follows instead.
    pub async fn next(&mut self) -> Result<Arc<Snapshot>, Error> {
        if let StreamSource::Daemon(snapshots) = &mut self.source {
            match snapshots.next().await {
                Ok(Some(mut snapshot)) => {
                    let given = self.globals.thresholds;
                    if let Some(thresholds) = given.instead_of(snapshot.thresholds) {
                        snapshot.judge(&thresholds);
                    }
                    return Ok(Arc::new(snapshot));
                }
                Ok(None) => tracing::warn!("the daemon has ended; following without it"),
                Err(error) => tracing::warn!(%error, "following without the daemon"),
            }
            self.source = StreamSource::Local(LocalFollower::start(self.globals, self.hooks)?);
        }
        match &mut self.source {
            StreamSource::Local(own) => own.next().await,
            StreamSource::Daemon(snapshots) => Err(Error::Daemon {
                socket: self.globals.socket().to_owned(),
                reason: format!("was lost: {snapshots:?}"),
            }),
        }
    }

    /// A state read now, or the next one from the daemon.
    pub async fn ask(&mut self) -> Result<Arc<Snapshot>, Error> {
        match &mut self.source {
            StreamSource::Local(own) => Ok(own.followed.request().await),
            StreamSource::Daemon(_) => self.next().await,
        }
    }
}

impl LocalFollower {
    fn start(globals: &Globals, hooks: Hooking) -> Result<Self, Error> {
        let options = ObserverOptions {
            hooks,
            ..globals.observer_options()
        };
        let (observer, hooks) = Observer::following(&options)?;
        let (follower, handle) = follow(observer, hooks, globals.thresholds.thresholds())?;
        let snapshots = handle.snapshots.clone();
        let task = tokio::spawn(follower.run());
        Ok(Self {
            snapshots,
            // The loop ends when the last handle is dropped.
            followed: handle,
            first: true,
            task,
        })
    }

    async fn next(&mut self) -> Result<Arc<Snapshot>, Error> {
        if !std::mem::take(&mut self.first) && self.snapshots.changed().await.is_err() {
            let reason = match (&mut self.task).await {
                Ok(Err(error)) => return Err(error),
                Ok(Ok(())) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            };
            let source = std::io::Error::other(reason);
            return Err(Error::Io {
                action: "follow the transition",
                source,
            });
        }
        Ok(self.snapshots.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_daemon_that_may_not_be_asked_is_not_one_that_does_not_run() {
        let absent = || Error::NoHistory("none runs".to_owned());
        let denied = NoDaemon::Denied("no permission to use /s".to_owned());
        let error = denied.error(absent);
        assert_eq!(error.to_string(), "no permission to use /s");
        assert_eq!(Exit::from(&error), Exit::NoPermission);
        let broken = NoDaemon::Broken(Error::DaemonEnded {
            socket: "/s".into(),
        });
        let text = broken.error(absent).to_string();
        assert!(text.ends_with("before it answered"), "{text}");
        let error = NoDaemon::Absent.error(absent);
        assert_eq!(error.to_string(), "none runs");
        assert_eq!(Exit::from(&error), Exit::Error);
    }
}
