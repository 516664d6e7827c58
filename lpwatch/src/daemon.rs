//! What serves: the API over a Unix socket and HTTP, metrics and the page.
//!
//! [`serve`] is the daemon around a loop of [`crate::observe`]; [`client`] asks
//! a daemon. [`web`] is HTTP over TCP.

pub(crate) mod api;
pub mod client;
mod event_log;
mod instance;
mod journal;
pub mod metrics;
mod notify;
mod page;
mod rights;
mod serve;
pub mod web;

pub use journal::{EVENT_TARGET, HistoryOptions};
pub use serve::{DaemonOptions, run};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lpwatch/lpwatch.sock";
