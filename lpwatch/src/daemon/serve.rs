//! `lpwatch daemon`: the loop and the API until a signal comes.

use std::{path::PathBuf, sync::Arc, thread};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{
    error::Error,
    kernel::host::boot_id,
    model::{Thresholds, journal::Journal},
    observe::{
        follow::follow,
        observer::{LoadedBpf, Observer, ObserverOptions},
    },
    probe::heap,
};

use super::{
    api::Origin,
    instance::Instance,
    journal::{self, HistoryOptions, Journaling},
    notify, rights,
    web::{DEFAULT_TELEMETRY_PATH, Guard, LiveConfig, Web, WebOptions, router, serve},
};

/// The options of `lpwatch daemon`.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    pub observer: ObserverOptions,
    pub socket: PathBuf,
    pub thresholds: Thresholds,
    pub web: WebOptions,
    pub history: HistoryOptions,
}

/// Serves until SIGTERM or SIGINT. BPF objects are held only by this process's
/// file descriptors, so they go with it, however it ends.
///
/// # Errors
/// [`Error`] if it cannot start, or the kernel can no longer be read.
pub async fn run(options: DaemonOptions) -> Result<(), Error> {
    let mut stop = std::pin::pin!(stop_signal()?);
    let begin = async {
        // The lock first: a second daemon must not load anything.
        let instance = Instance::claim(&options.socket).await?;
        // A daemon that cannot listen must not load anything either.
        let web = instance.open(|| Web::bind(&options.web)).await?;
        Ok::<_, Error>((instance, web))
    };
    let (instance, web) = tokio::select! {
        begun = begin => begun?,
        () = &mut stop => return Ok(()),
    };
    rights::give_up();
    tracing::info!("loading");
    heap::return_large_blocks();
    let observer = Observer::before_hooks(&options.observer)?;
    let (follower, handle) = follow(observer, None, options.thresholds)?;
    let boot_id = boot_id(&options.observer.roots);
    let loading = load(options.observer)?;
    let Journaling { log, sink, state } = journal::start(options.history)?;
    let follower = follower.with_journal(Journal::new(boot_id), sink);
    let follower = follower.with_loading(loading);
    for note in &handle.snapshots.borrow().notes {
        tracing::warn!("{note}");
    }
    for address in web.addresses() {
        tracing::info!(address, "serving HTTP");
    }
    let guard = Arc::new(Guard::default());
    let own = router(
        handle.clone(),
        log.clone(),
        Origin::Own,
        DEFAULT_TELEMETRY_PATH,
        guard,
    );
    let plain = LiveConfig::default();
    let follower = follower.with_heartbeat(notify::watchdog());
    let history = journal::show_state(state, handle.clone());
    let status = notify::follow_status(handle.snapshots.clone());
    tracing::info!(socket = %options.socket.display(), "ready");
    notify::ready();
    tokio::select! {
        ended = follower.run() => ended,
        () = serve(&instance.listener, own, &plain) => Ok(()),
        () = web.serve_with(handle, log) => Ok(()),
        () = status => Ok(()),
        () = history => Ok(()),
        () = &mut stop => {
            tracing::info!("stopping");
            notify::stopping();
            Ok(())
        }
    }
}

/// Loads and attaches on a thread of its own: until the kernel has attached a hook,
/// its tasks must have come to rest, and meanwhile the daemon answers.
fn load(options: ObserverOptions) -> Result<oneshot::Receiver<LoadedBpf>, Error> {
    let (send, loading) = oneshot::channel();
    let load = move || {
        // A daemon that ends does not wait for it.
        drop(send.send(LoadedBpf::load(&options)));
    };
    let thread = thread::Builder::new().name("lpwatch-load".to_owned());
    thread.spawn(load).map_err(|source| Error::Io {
        action: "start a thread",
        source,
    })?;
    Ok(loading)
}

/// Completes at the first of the signals that stop a daemon.
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
