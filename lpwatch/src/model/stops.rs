//! For how long the machine was stopped, and for whom.

mod join;
mod ledger;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EngineKind, Moment};

pub use join::{Joined, Joiner, Span};
pub(super) use ledger::Ledger;

/// The upper bounds of the buckets, in milliseconds: of patching by stopping the
/// machine 1 to 40 ms are told.
pub const BOUNDS_MS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 100.0, 250.0, 1000.0];

/// A stop of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// When the first CPU was held.
    pub at: Moment,
    pub joined: Joined,
    /// The function that ran meanwhile; `None` where it has no name.
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
        // Mainline's livepatch stops nothing; openEuler's does.
        (None, Some(function)) if function.starts_with("klp_") => Some(EngineKind::Openeuler),
        _ => None,
    }
}

/// The stops of the machine since they are hooked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stops {
    pub since: Timestamp,
    /// By patching system, and `null` for what is none.
    pub engines: Vec<OfEngine>,
    /// Newest first.
    pub last: Vec<LastStop>,
    /// Records that found no room: a stop that lacks some may be told as too
    /// long, or be missing.
    pub records_lost: u64,
}

/// The stops for one patching system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfEngine {
    pub engine: Option<EngineKind>,
    pub times: u64,
    /// All of them together, and the longest.
    pub total_ms: f64,
    pub longest_ms: f64,
    /// How many took no longer than each of [`BOUNDS_MS`], and longer than the
    /// one before; the last one is of those that took longer than all.
    pub buckets: Vec<u64>,
}

/// One stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastStop {
    pub at: Timestamp,
    pub engine: Option<EngineKind>,
    pub function: Option<String>,
    pub module: Option<String>,
    /// From when the last CPU stood until the first went on, in milliseconds.
    pub stopped_ms: f64,
    /// From when the first CPU was held until the last was free.
    pub held_ms: f64,
    /// CPUs that were seen to stand, and how many there were in the kernel's
    /// words; `null` where it did not say.
    pub cpus: u32,
    pub cpus_of: Option<u32>,
}

/// The stops during a transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    pub times: u32,
    pub total_ms: f64,
    pub longest_ms: f64,
    /// The functions that ran meanwhile, each once.
    pub functions: Vec<String>,
}
