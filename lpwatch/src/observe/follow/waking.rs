//! Waits for what wakes the loop.

use std::{io, os::fd::AsFd};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{error::Error, probe::Readable};

/// A file of the kernel that wakes the loop.
pub(super) struct WakeSource<T> {
    pub file: T,
    readable: Readable,
}

impl<T: AsFd> WakeSource<T> {
    pub fn new(file: T) -> Result<Self, Error> {
        let readable = Readable::new(&file).map_err(cannot_wait)?;
        Ok(Self { file, readable })
    }
}

fn cannot_wait(source: io::Error) -> Error {
    Error::Io {
        action: "wait for the kernel's events",
        source,
    }
}

/// Waits until `moment`; without one it never returns.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits for what is sent; without a receiver it never returns.
pub(super) async fn result<T>(receiver: Option<&mut oneshot::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.await.ok(),
        None => std::future::pending().await,
    }
}

/// Waits until `source` is readable; without one it never returns.
pub(super) async fn ready<T>(source: Option<&WakeSource<T>>) -> Result<(), Error> {
    match source {
        Some(waking) => waking.readable.ready().await.map_err(cannot_wait),
        None => std::future::pending().await,
    }
}
