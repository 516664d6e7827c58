//! Following transitions: the loop, and the API over a Unix socket.
//!
//! [`observer::Observer`] puts kernel, probes and model together;
//! [`follow`] keeps one up to date; [`serve`] is the daemon around it and
//! [`client`] asks a daemon. [`web`] is HTTP over TCP.

mod api;
mod call_plan;
mod call_source;
mod call_suspects;
pub mod client;
mod elsewhere;
mod folder_watch;
pub mod follow;
mod instance;
mod log_source;
pub mod metrics;
mod notify;
pub mod observer;
mod page;
mod reading;
mod serve;
mod stop_source;
mod task_source;
pub mod watch_list;
pub mod web;

pub use serve::{DaemonOptions, run};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lpwatch/lpwatch.sock";
