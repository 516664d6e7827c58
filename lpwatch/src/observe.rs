//! One host looked at: what the commands and the daemon share.
//!
//! [`observer::Observer`] puts kernel, probes and model together; [`follow`]
//! keeps one up to date. The other files are where its facts come from: tasks,
//! calls, stops of the machine, the kernel log, the list of functions that are
//! counted ahead of their patch, and what a report needs besides.

mod call_plan;
mod call_source;
mod call_suspects;
pub mod clock;
mod folder_watch;
pub mod follow;
mod heartbeat;
mod log_source;
pub mod observer;
mod other_engines;
mod reading;
pub(crate) mod report_facts;
mod stop_source;
mod task_pace;
mod task_source;
mod wait_source;
pub mod watch_list;

pub use heartbeat::Heartbeat;
pub(crate) use wait_source::cpu_holders;
