//! Where snapshots come from: a daemon where one runs, our own look where none
//! does. Both give the same document.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    daemon::client::{Absent, Client, Snapshots},
    error::Error,
    model::{Snapshot, check::CheckReport},
    observe::{
        follow::{FollowHandle, follow},
        observer::{Hooking, Observer, ObserverOptions},
    },
};

use super::args::Globals;

/// The state now.
pub async fn now(globals: &Globals) -> Result<Snapshot, Error> {
    let note = match of_daemon(globals).await {
        Ok(snapshot) => return Ok(snapshot),
        Err(note) => note,
    };
    let observer = Observer::single_look(&globals.observer_options())?;
    let mut snapshot = observer.snapshot(&globals.thresholds.thresholds());
    snapshot.notes.extend(note);
    Ok(snapshot)
}

/// The state as a daemon knows it, or what to say about there being none.
pub async fn of_daemon(globals: &Globals) -> Result<Snapshot, Option<String>> {
    let mut snapshot = client_status(ask(globals).await?)
        .await
        .map_err(|error| Some(format!("No daemon was asked: {error}.")))?;
    if let Some(thresholds) = globals.thresholds.given() {
        snapshot.judge(&thresholds);
    }
    Ok(snapshot)
}

/// Hands what came of checking a patch to the daemon, where one runs: it shows
/// it beside the patch.
pub async fn hand_over(globals: &Globals, report: &CheckReport) {
    let handed = match ask(globals).await {
        Ok(mut client) => client.note_check(report).await,
        Err(_) => Ok(()),
    };
    if let Err(error) = handed {
        tracing::warn!(%error, "the daemon does not show this check");
    }
}

async fn client_status(mut client: Client) -> Result<Snapshot, Error> {
    client.status().await
}

/// A connection to the daemon, or what to say about there being none.
async fn ask(globals: &Globals) -> Result<Client, Option<String>> {
    if !globals.may_ask_daemon() {
        return Err(None);
    }
    match Client::connect(&globals.socket).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(Absent::NotRunning)) => Err(None),
        Ok(Err(Absent::NoPermission)) => Err(Some(format!(
            "The daemon was not asked: no permission to use {} (run as root, or as a member of its group).",
            globals.socket.display()
        ))),
        Err(error) => Err(Some(format!("No daemon was asked: {error}."))),
    }
}

/// The states from now on.
pub struct Stream<'a> {
    globals: &'a Globals,
    /// Where we look for ourselves.
    hooks: Hooking,
    source: Source,
}

enum Source {
    Daemon(Snapshots),
    Own(Own),
}

/// Our own loop, for as long as nobody else runs one.
struct Own {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    followed: FollowHandle,
    first: bool,
    task: JoinHandle<Result<(), Error>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<'a> Stream<'a> {
    pub async fn open(globals: &'a Globals) -> Result<Self, Error> {
        Self::new(globals, Hooking::Nothing).await
    }

    /// The same with numbers of calls.
    pub async fn counting(globals: &'a Globals) -> Result<Self, Error> {
        Self::new(globals, Hooking::Calls).await
    }

    async fn new(globals: &'a Globals, hooks: Hooking) -> Result<Self, Error> {
        if let Ok(client) = ask(globals).await {
            match client.stream().await {
                Ok(snapshots) => {
                    return Ok(Self {
                        globals,
                        hooks,
                        source: Source::Daemon(snapshots),
                    });
                }
                Err(error) => tracing::warn!(%error, "following without the daemon"),
            }
        }
        Ok(Self {
            globals,
            hooks,
            source: Source::Own(Own::start(globals, hooks)?),
        })
    }

    /// The next state. A daemon that ends meanwhile is replaced by our own
    /// look.
    pub async fn next(&mut self) -> Result<Arc<Snapshot>, Error> {
        if let Source::Daemon(snapshots) = &mut self.source {
            match snapshots.next().await {
                Ok(Some(mut snapshot)) => {
                    if let Some(thresholds) = self.globals.thresholds.given() {
                        snapshot.judge(&thresholds);
                    }
                    return Ok(Arc::new(snapshot));
                }
                Ok(None) => tracing::warn!("the daemon has ended; following without it"),
                Err(error) => tracing::warn!(%error, "following without the daemon"),
            }
            self.source = Source::Own(Own::start(self.globals, self.hooks)?);
        }
        match &mut self.source {
            Source::Own(own) => own.next().await,
            Source::Daemon(snapshots) => Err(Error::Daemon {
                socket: self.globals.socket.clone(),
                reason: format!("lost: {snapshots:?}"),
            }),
        }
    }

    /// A state made now, or the daemon's next one.
    pub async fn ask(&mut self) -> Result<Arc<Snapshot>, Error> {
        match &mut self.source {
            Source::Own(own) => Ok(own.followed.request().await),
            Source::Daemon(_) => self.next().await,
        }
    }
}

impl Own {
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
            // The loop ends when the last handle goes.
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
