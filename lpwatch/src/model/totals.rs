//! Counts over the transitions that ended since the daemon began.
//!
//! Plain numbers, so that a daemon of the past and a simulated one are the same
//! thing. They begin at 0 with the daemon, as counters of Prometheus may.

use std::collections::BTreeMap;

use super::{Direction, Outcome, snapshot::PastTransition};

/// The upper bounds of the histogram's buckets, in seconds. The kernel's first
/// signal comes at 15 s, "long" begins at an hour.
pub const BOUNDS: [f64; 14] = [
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
];

/// How the transitions went that ended since the daemon began.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    ended: BTreeMap<Ending, Tally>,
}

/// Direction (`None` for a patch refused before it began) and outcome.
pub type Ending = (Option<Direction>, Outcome);

/// Transitions that ended in one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub number: u64,
    /// Those among them whose duration is known: how many lie within each bound
    /// but not within the one before, how many there are, and their sum.
    pub within: [u64; BOUNDS.len()],
    pub timed: u64,
    pub seconds: f64,
}

impl Default for Totals {
    /// A counter that begins at 0 shows its first increase; one that begins at
    /// 1 does not. So every ending that a patch can come to is there.
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
        // The kernel gives up on its own only what it applies.
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

    /// All endings, with their tallies.
    pub fn endings(&self) -> impl Iterator<Item = (Ending, &Tally)> {
        self.ended.iter().map(|(ending, tally)| (*ending, tally))
    }
}
