//! Which code runs: from raw counts to calls of old and of new code.
//!
//! The kernel side counts each call by the calling task's patch state and by
//! the epoch (see `lpwatch_common::calls`). The [`Ledger`] knows the patches
//! of each epoch and so which code each call ran.

pub mod figures;
mod reading;

pub use reading::{Buckets, CallsReading, Counter, Entries, FunctionId, FunctionReading};

use std::time::Duration;

use super::{Direction, Moment, SystemView};
use figures::{Calls, Watched};

/// A turn of livepatch as the hooks tell of it: an epoch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A transition of this patch begins.
    Begun {
        epoch: u32,
        patch: String,
        direction: Direction,
        replace: Option<bool>,
    },
    /// The transition has ended in this direction; `None` where that is not
    /// known.
    Ended {
        epoch: u32,
        direction: Option<Direction>,
    },
}

/// Takes in turns, readings of sysfs and readings of the counters; gives the
/// calls of each function.
#[derive(Debug, Default)]
pub struct Ledger {}

impl Ledger {
    /// Takes in a turn that happened at `at`.
    pub fn turn(&mut self, _turn: Turn, _at: Moment) {}

    /// Takes in a reading of all patches, made after all turns so far.
    pub fn observe(&mut self, _view: &SystemView) {}

    /// Takes in a reading of the counters. One of an epoch whose beginning was
    /// not told yet is put off: counts only grow, so the next one has it all.
    pub fn read(&mut self, _reading: CallsReading) {}

    /// The calls of a patch's function; `None` where nothing counts them.
    #[must_use]
    pub fn calls(&self, _patch: &str, _function: &FunctionId, _now: &Moment) -> Option<Calls> {
        None
    }

    /// Why a function of a patch is not counted.
    #[must_use]
    pub fn why_not(&self, _function: &FunctionId) -> Option<&str> {
        None
    }

    /// The functions that were asked for, patched or not.
    #[must_use]
    pub fn watched(&self, _now: &Moment) -> Vec<Watched> {
        Vec::new()
    }

    /// Whether the last reading gives reason to look again soon: new code that
    /// should have been entered was not.
    #[must_use]
    pub fn recheck(&self) -> Option<Duration> {
        None
    }
}
