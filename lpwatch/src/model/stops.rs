//! How long the machine was stopped, and for which patching system.

mod join;
#[cfg(test)]
mod tests;
mod tracker;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EngineKind, Moment, document::milliseconds};

pub use join::{CpuStop, Joined, Joiner};
pub(super) use tracker::StopTracker;

/// The upper bounds of the buckets, in milliseconds. Published times of patching
/// with a stopped machine are 1 to 40 ms.
pub const BOUNDS_MS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 100.0, 250.0, 1000.0];

/// A stop of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// When the first CPU was held.
    pub at: Moment,
    pub joined: Joined,
    /// The function that ran meanwhile; `None` if it has no name.
    pub function: Option<String>,
    /// Its module; `None` for the kernel itself.
    pub module: Option<String>,
}

/// The patching system whose function this is; `None` for none of them.
#[must_use]
pub fn engine_of(function: Option<&str>, module: Option<&str>) -> Option<EngineKind> {
    match (module, function) {
        (Some("kpatch"), _) | (_, Some("kpatch_apply_patch" | "kpatch_remove_patch")) => {
            Some(EngineKind::Kpatch)
        }
        (Some(module), _) if module.starts_with("ksplice") => Some(EngineKind::Ksplice),
        // Mainline's livepatch does not stop the machine; openEuler's does.
        (None, Some(function)) if function.starts_with("klp_") => Some(EngineKind::Openeuler),
        _ => None,
    }
}

/// The stops of the machine by `stop_machine`, since the daemon hooked it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stops {
    /// When the hook was attached.
    #[serde(serialize_with = "milliseconds")]
    pub counted_since: Timestamp,
    /// The stops by patching system.
    pub engines: Vec<OfEngine>,
    /// The last stops, newest first, at most 16.
    pub last: Vec<LastStop>,
    /// Records that were lost because the buffer was full. A stop with missing records
    /// may be shown too long or not at all.
    pub records_lost: u64,
}

/// The stops for one patching system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "StopsOfEngine"))]
pub struct OfEngine {
    /// The patching system; `null` for all other stops, e.g. those of CPU hotplug.
    pub engine: Option<EngineKind>,
    /// How many stops there were.
    pub times: u64,
    /// How long the machine was stopped in all, in milliseconds.
    pub total_ms: f64,
    /// The longest stop, in milliseconds.
    pub longest_ms: f64,
    /// The number of stops of up to 0.5, 1, 2, 5, 10, 20, 40, 100, 250 and 1000 ms,
    /// each without those of the entry before, and of longer ones.
    pub buckets: Vec<u64>,
}

/// One stop of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Stop"))]
pub struct LastStop {
    /// When the first CPU stopped.
    #[serde(serialize_with = "milliseconds")]
    pub at: Timestamp,
    /// The patching system that stopped it; `null` for none of them.
    pub engine: Option<EngineKind>,
    /// The kernel function that ran meanwhile; `null` if it has no name.
    pub function: Option<String>,
    /// The module of `function`; `null` for the kernel itself.
    pub module: Option<String>,
    /// How long all CPUs stood: from the stop of the last to the release of the first,
    /// in milliseconds.
    pub stopped_ms: f64,
    /// From the stop of the first CPU to the release of the last, in milliseconds.
    pub held_ms: f64,
    /// The CPUs that were observed to stop.
    pub cpus: u32,
    /// The CPUs that should have stopped, as the kernel reports them; `null` if it
    /// does not.
    pub cpus_of: Option<u32>,
}

/// The stops of the machine during a transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "StopsInTransition"))]
pub struct Stopped {
    /// How many stops there were.
    pub times: u32,
    /// How long the machine was stopped in all, in milliseconds.
    pub total_ms: f64,
    /// The longest stop, in milliseconds.
    pub longest_ms: f64,
    /// The kernel functions that ran meanwhile, each once.
    pub functions: Vec<String>,
}
