//! HTTP for Prometheus, browsers and other clients: over TCP, or a Unix socket.
//!
//! [`listen`] opens the sockets, [`connection`] serves each connection within
//! limits, [`places`] says how many, [`guard`] decides who may ask, [`router`] has
//! the routes.

mod address;
mod config;
mod connection;
mod guard;
mod listen;
pub(super) mod parameters;
mod places;
mod router;
mod words;

use std::{path::PathBuf, sync::Arc};

use futures_util::future::join_all;

use crate::{error::Error, observe::follow::FollowHandle};

use super::{api::Origin, event_log::EventLog};

use config::Authenticator;

pub use address::ListenAddress;
pub use router::telemetry_path;

pub(super) use config::LiveConfig;
pub(super) use connection::serve;
pub(super) use guard::Guard;
pub(super) use listen::Listener;
pub(super) use router::router;
pub(super) use words::words;

/// The default path of the metrics.
pub const DEFAULT_TELEMETRY_PATH: &str = "/metrics";

/// How to serve HTTP.
#[derive(Clone, Debug)]
pub struct WebOptions {
    pub listen: Listen,
    /// Checked by [`telemetry_path`].
    pub telemetry_path: String,
    /// TLS, users and headers: a file in the format of Prometheus's exporters.
    pub config_file: Option<PathBuf>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Nowhere,
    On(Vec<ListenAddress>),
    /// On the sockets that systemd passes.
    Systemd,
}

/// Listening sockets, not served yet.
pub struct Web {
    listeners: Vec<Listener>,
    telemetry_path: String,
    config: Arc<LiveConfig>,
    doorkeeper: Authenticator,
}

impl Web {
    /// Opens the sockets. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] if an address is in use or does not belong to this
    /// host, [`Error::WebConfig`] if the configuration is bad.
    pub fn bind(options: &WebOptions) -> Result<Self, Error> {
        let WebOptions {
            listen,
            telemetry_path,
            config_file,
        } = options;
        let config = Arc::new(LiveConfig::open(config_file.as_deref())?);
        let listeners = match listen {
            Listen::Nowhere => Vec::new(),
            Listen::On(addresses) => addresses
                .iter()
                .map(Listener::bind)
                .collect::<Result<_, _>>()?,
            Listen::Systemd => Listener::from_systemd()?,
        };
        Ok(Self {
            listeners,
            telemetry_path: telemetry_path.clone(),
            config,
            doorkeeper: Authenticator::new()?,
        })
    }

    /// The addresses as bound: the kernel has replaced port 0 by a real one.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|listener| listener.name.as_str())
    }

    /// Serves the state of `followed`, without events, until this future is dropped.
    pub async fn serve(self, followed: FollowHandle) {
        let no_events = Arc::new(EventLog::new(0, None));
        self.serve_with(followed, no_events).await;
    }

    /// Serves the state of `followed` and the events until this future is dropped.
    pub(super) async fn serve_with(self, followed: FollowHandle, events: Arc<EventLog>) {
        let Self {
            listeners,
            telemetry_path,
            config,
            doorkeeper,
        } = self;
        let guard = Arc::new(Guard {
            node: followed.snapshots.borrow().head.host.clone(),
            access: Some((config.clone(), doorkeeper)),
        });
        let router = router(followed, events, Origin::Web, &telemetry_path, guard);
        join_all(
            listeners
                .iter()
                .map(|listener| serve(listener, router.clone(), &config)),
        )
        .await;
        // Without a socket there is nothing to serve, and the daemon goes on.
        std::future::pending::<()>().await;
    }
}
