//! HTTP for Prometheus, browsers and whoever comes: over TCP, or a Unix socket.
//!
//! [`listen`] has the sockets, [`connection`] serves each connection within
//! limits, [`guard`] decides who may ask, [`router`] what there is to ask for.

mod address;
mod connection;
mod guard;
mod listen;
mod page;
mod router;

use std::sync::Arc;

use futures_util::future::join_all;

use crate::error::Error;

use super::{api::Door, follow::Followed};

pub use address::ListenAddress;
pub use router::telemetry_path;

pub(super) use connection::serve;
pub(super) use guard::Guard;
pub(super) use listen::Listener;
pub(super) use router::{router, words};

/// Where metrics are unless told otherwise.
pub const DEFAULT_TELEMETRY_PATH: &str = "/metrics";

/// How to serve HTTP.
#[derive(Clone, Debug)]
pub struct WebOptions {
    pub listen: Listen,
    /// As [`telemetry_path`] has let pass.
    pub telemetry_path: String,
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
}

impl Web {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] where an address is taken or not of this host.
    pub fn bind(options: &WebOptions) -> Result<Self, Error> {
        let WebOptions {
            listen,
            telemetry_path,
        } = options;
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
        } = self;
        let guard = Arc::new(Guard {
            node: followed.snapshots.borrow().host.clone(),
        });
        let router = router(followed, Door::Web, &telemetry_path, guard);
        join_all(
            listeners
                .iter()
                .map(|listener| serve(listener, router.clone())),
        )
        .await;
        // Nowhere to listen: nothing to do, and nothing ends.
        std::future::pending::<()>().await;
    }
}
