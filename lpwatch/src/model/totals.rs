//! Counts of the transitions that ended since the daemon started.
//!
//! They start at 0 with the daemon, as counters of Prometheus may.

use std::collections::BTreeMap;

use super::{Direction, Outcome, snapshot::PastTransition};

/// The upper bounds of the histogram's buckets, in seconds. The kernel's first
/// signal comes at 15 s, "long" begins at an hour.
pub const BOUNDS: [f64; 14] = [
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
];

/// The outcomes of the transitions that ended since the daemon started.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    ended: BTreeMap<EndKind, Tally>,
}

/// Direction (`None` for a patch refused before it began) and outcome.
pub type EndKind = (Option<Direction>, Outcome);

/// The transitions with one outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub number: u64,
    /// Of those with a known duration: how many lie within each bound but not within
    /// the one before, their number and their sum.
    pub within: [u64; BOUNDS.len()],
    pub timed: u64,
    pub seconds: f64,
}

impl Default for Totals {
    /// Prometheus shows the first increase only of a counter that starts at 0, so
    /// every possible outcome has an entry.
    fn default() -> Self {
        let mut ended = BTreeMap::new();
        for direction in [Direction::Patching, Direction::Unpatching] {
            for outcome in [
                Outcome::Completed,
                Outcome::Reversed,
                Outcome::Forced,
                Outcome::Unknown,
            ] {
                ended.insert((Some(direction), outcome), Tally::default());
            }
        }
        // The kernel cancels only transitions that enable a patch.
        let cancelled = (Some(Direction::Patching), Outcome::Cancelled);
        ended.insert(cancelled, Tally::default());
        ended.insert((None, Outcome::Refused), Tally::default());
        Self { ended }
    }
}

impl Totals {
    /// Counts a transition that ended.
    pub fn note(&mut self, past: &PastTransition) {
        let tally = self
            .ended
            .entry((past.direction, past.outcome))
            .or_default();
        tally.number += 1;
        let Some(seconds) = past.duration_seconds.filter(|seconds| *seconds >= 0.0) else {
            return;
        };
        tally.timed += 1;
        tally.seconds += seconds;
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            tally.within[bucket] += 1;
        }
    }

    /// All outcomes with their counts.
    pub fn endings(&self) -> impl Iterator<Item = (EndKind, &Tally)> {
        self.ended.iter().map(|(ending, tally)| (*ending, tally))
    }
}
