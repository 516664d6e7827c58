//! HTTP for Prometheus, browsers and whoever comes: over TCP, or a Unix socket.
//!
//! [`listen`] has the sockets, [`connection`] serves each connection within
//! limits, [`guard`] decides who may ask, [`router`] what there is to ask for.

mod address;
mod config;
mod connection;
mod guard;
mod listen;
mod router;
mod words;

use std::{path::PathBuf, sync::Arc};

use futures_util::future::join_all;

use crate::{error::Error, observe::follow::Followed};

use super::api::Door;

use config::Doorkeeper;

pub use address::ListenAddress;
pub use router::telemetry_path;

pub(super) use config::LiveConfig;
pub(super) use connection::serve;
pub(super) use guard::Guard;
pub(super) use listen::Listener;
pub(super) use router::router;
pub(super) use words::words;

/// Where metrics are unless told otherwise.
pub const DEFAULT_TELEMETRY_PATH: &str = "/metrics";

/// How to serve HTTP.
#[derive(Clone, Debug)]
pub struct WebOptions {
    pub listen: Listen,
    /// As [`telemetry_path`] has let pass.
    pub telemetry_path: String,
    /// TLS, users and headers: a file as Prometheus's exporters take it.
    pub config_file: Option<PathBuf>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Nowhere,
    On(Vec<ListenAddress>),
    /// On the sockets that systemd hands over.
    Systemd,
}

/// Sockets that are listened on, not served yet.
pub struct Web {
    listeners: Vec<Listener>,
    telemetry_path: String,
    config: Arc<LiveConfig>,
    doorkeeper: Doorkeeper,
}

impl Web {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] where an address is taken or not of this host,
    /// [`Error::WebConfig`] where the configuration is bad.
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
            doorkeeper: Doorkeeper::new()?,
        })
    }

    /// The addresses, as they were bound: port 0 has become one.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|listener| listener.name.as_str())
    }

    /// Serves what `followed` knows, until it is dropped.
    pub async fn serve(self, followed: Followed) {
        let Self {
            listeners,
            telemetry_path,
            config,
            doorkeeper,
        } = self;
        let guard = Arc::new(Guard {
            node: followed.snapshots.borrow().host.clone(),
            access: Some((config.clone(), doorkeeper)),
        });
        let router = router(followed, Door::Web, &telemetry_path, guard);
        join_all(
            listeners
                .iter()
                .map(|listener| serve(listener, router.clone(), &config)),
        )
        .await;
        // Nowhere to listen: nothing to do, and nothing ends.
        std::future::pending::<()>().await;
    }
}
