//! Where snapshots come from: a daemon where one runs, our own look where none
//! does. Both give the same document.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    daemon::{
        client::{Absent, Client, Snapshots},
        follow::follow,
        observer::{Observer, ObserverOptions},
    },
    error::Error,
    model::Snapshot,
};

use super::args::Globals;

/// The state now.
pub async fn now(globals: &Globals) -> Result<Snapshot, Error> {
    let (answer, note) = match ask(globals).await {
        Ok(client) => match client_status(client).await {
            Ok(snapshot) => (Some(snapshot), None),
            Err(error) => (None, Some(format!("No daemon was asked: {error}."))),
        },
        Err(note) => (None, note),
    };
    if let Some(mut snapshot) = answer {
        if let Some(thresholds) = globals.thresholds.given() {
            snapshot.judge(&thresholds);
        }
        return Ok(snapshot);
    }
    let observer = Observer::single_look(&globals.observer_options())?;
    let mut snapshot = observer.snapshot(&globals.thresholds.thresholds());
    snapshot.notes.extend(note);
    Ok(snapshot)
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
    source: Source,
}

enum Source {
    Daemon(Snapshots),
    Own(Own),
}

/// Our own loop, for as long as nobody else runs one.
struct Own {
    snapshots: watch::Receiver<Arc<Snapshot>>,
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
        if let Ok(client) = ask(globals).await {
            match client.stream().await {
                Ok(snapshots) => {
                    return Ok(Self {
                        globals,
                        source: Source::Daemon(snapshots),
                    });
                }
                Err(error) => tracing::warn!(%error, "following without the daemon"),
            }
        }
        Ok(Self {
            globals,
            source: Source::Own(Own::start(globals)?),
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
            self.source = Source::Own(Own::start(self.globals)?);
        }
        match &mut self.source {
            Source::Own(own) => own.next().await,
            Source::Daemon(snapshots) => Err(Error::Daemon {
                socket: self.globals.socket.clone(),
                reason: format!("lost: {snapshots:?}"),
            }),
        }
    }
}

impl Own {
    fn start(globals: &Globals) -> Result<Self, Error> {
        let options = ObserverOptions {
            no_hooks: true,
            ..globals.observer_options()
        };
        let (observer, hooks) = Observer::following(&options)?;
        let (follower, handle) = follow(observer, hooks, globals.thresholds.thresholds())?;
        let snapshots = handle.snapshots.clone();
        let task = tokio::spawn(async move {
            // The loop ends when the last handle goes.
            let _handle = handle;
            follower.run().await
        });
        Ok(Self {
            snapshots,
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
