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

/// The stops of the machine since the hook was attached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stops {
    #[serde(serialize_with = "milliseconds")]
    pub counted_since: Timestamp,
    /// By patching system; `null` for all other stops.
    pub engines: Vec<OfEngine>,
    /// Newest first.
    pub last: Vec<LastStop>,
    /// Lost records: a stop with missing records may be shown too long or not at
    /// all.
    pub records_lost: u64,
}

/// The stops for one patching system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OfEngine {
    pub engine: Option<EngineKind>,
    pub times: u64,
    /// Their total time, and the longest.
    pub total_ms: f64,
    pub longest_ms: f64,
    /// How many lie within each of [`BOUNDS_MS`] but not within the one before; the
    /// last counts those longer than all bounds.
    pub buckets: Vec<u64>,
}

/// One stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastStop {
    #[serde(serialize_with = "milliseconds")]
    pub at: Timestamp,
    pub engine: Option<EngineKind>,
    pub function: Option<String>,
    pub module: Option<String>,
    /// From the stop of the last CPU to the release of the first, in milliseconds.
    pub stopped_ms: f64,
    /// From the stop of the first CPU to the release of the last.
    pub held_ms: f64,
    /// The CPUs observed to stop, and the number that the kernel reported; `null` if
    /// it reported none.
    pub cpus: u32,
    pub cpus_of: Option<u32>,
}

/// The stops during a transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stopped {
    pub times: u32,
    pub total_ms: f64,
    pub longest_ms: f64,
    /// The functions that ran meanwhile, each once.
    pub functions: Vec<String>,
}
