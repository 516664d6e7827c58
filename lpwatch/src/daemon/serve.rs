//! `lpwatch daemon`: the loop and the API until a signal comes.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::{error::Error, model::Thresholds};

use super::{
    api,
    follow::follow,
    instance::Instance,
    observer::{Observer, ObserverOptions},
};

/// What `lpwatch daemon` was asked for.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    pub observer: ObserverOptions,
    pub socket: PathBuf,
    pub thresholds: Thresholds,
}

/// Serves until SIGTERM or SIGINT. BPF objects live in this process's file
/// descriptors only, so they go with it, however it ends.
///
/// # Errors
/// [`Error`] if it cannot start, or the kernel can no longer be read.
pub async fn run(options: DaemonOptions) -> Result<(), Error> {
    let stop = stop_signal()?;
    // First the lock: a second daemon must not load anything.
    let instance = Instance::claim(&options.socket)?;
    tracing::info!("loading");
    let (observer, hooks) = Observer::following(&options.observer)?;
    let (follower, handle) = follow(observer, hooks, options.thresholds)?;
    for note in &handle.snapshots.borrow().notes {
        tracing::warn!("{note}");
    }
    for probe in &handle.snapshots.borrow().probes {
        tracing::info!(
            fact = probe.fact,
            kind = probe.kind,
            target = probe.target,
            attached = probe.attached,
            "probe"
        );
    }
    let Instance { listener, .. } = &instance;
    tracing::info!(socket = %options.socket.display(), "ready");
    tokio::select! {
        ended = follower.run() => ended,
        () = accept(listener, api::router(handle)) => Ok(()),
        () = stop => {
            tracing::info!("stopping");
            Ok(())
        }
    }
}

/// Ends when the first of the signals that stop a daemon has come.
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let on = |kind| {
        signal(kind).map_err(|source| Error::Io {
            action: "listen for signals",
            source,
        })
    };
    let (mut terminate, mut interrupt) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

/// Serves each connection in a task of its own.
async fn accept(listener: &tokio::net::UnixListener, router: axum::Router) {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // For want of file descriptors, say: others may close theirs.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
}
