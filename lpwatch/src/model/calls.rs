//! Which code runs: from raw counts to calls of old and of new code.
//!
//! The kernel side counts each call by the calling task's patch state and by
//! the epoch (see `lpwatch_common::calls`). The [`Ledger`] knows the patches
//! of each epoch and so which code each call ran.

mod compare;
mod effect;
mod epochs;
pub mod figures;
mod findings;
mod function;
mod ledger;
mod reading;
mod record;
pub mod report;
mod series;
mod show;
mod stack;
#[cfg(test)]
mod tests;

pub(super) use ledger::Ledger;

pub use reading::{Buckets, CallsReading, Counter, Entries, FunctionId, FunctionReading};

use super::Direction;

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
