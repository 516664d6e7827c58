//! Which code runs: converts raw counts to calls of old and new code.
//!
//! The kernel side counts each call by the calling task's patch state and by
//! the epoch (see `lpwatch_common::calls`). The [`CallTracker`] knows the patches
//! of each epoch and so which code each call ran.

mod compare;
mod effect;
mod epochs;
pub mod figures;
mod findings;
mod function;
pub mod proof;
mod reading;
mod record;
pub mod report;
mod series;
mod show;
mod stack;
#[cfg(test)]
mod tests;
mod tracker;

pub(super) use tracker::CallTracker;

pub use reading::{Buckets, CallsReading, Counter, Entries, FunctionId, FunctionReading};

use super::Direction;

/// Why no call is counted if the user excludes BPF.
pub const NO_BPF: &str = "BPF is not used (--no-bpf)";

/// Why no call is counted in a recorded tree.
pub const RECORDED_TREE: &str = "BPF is not used for a recorded tree";

/// A turn of livepatch, reported by a hook: an epoch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A transition of this patch begins.
    Begun {
        epoch: u32,
        patch: String,
        direction: Direction,
        replace: Option<bool>,
    },
    /// The transition has ended in this direction; `None` if unknown.
    Ended {
        epoch: u32,
        direction: Option<Direction>,
    },
}
