//! How often all tasks are read while nobody asks.
//!
//! Reading them takes the longer the more tasks a host has. In a stall nothing
//! changes for minutes, and then a look every second would be the largest cost of a
//! daemon.

use std::time::Duration;

use crate::model::Direction;

/// In a stall, so many tasks are read in a second.
const TASKS_A_SECOND: u32 = 3000;

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(10);

/// Who wants to know the tasks that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Somebody waits for the answer: read them, and inspect each.
    Asked,
    /// Nobody, but they may change soon.
    Watched,
    /// Nobody, and the transition is stalled.
    Stalled,
}

/// The last look at all tasks.
#[derive(Debug)]
pub(super) struct LastLook {
    pub at: Duration,
    pub direction: Direction,
    /// How many tasks there were.
    pub total: Option<u32>,
    /// How many had switched by then, ever; `None` if nothing counts that.
    pub switched: Option<u64>,
    /// What was missing from it.
    pub notes: Vec<String>,
}

impl LastLook {
    /// Whether it still serves at `now`, when `switched` tasks have switched.
    pub fn serves(
        &self,
        demand: Demand,
        direction: Direction,
        now: Duration,
        switched: Option<u64>,
    ) -> bool {
        demand == Demand::Stalled
            && direction == self.direction
            && switched == self.switched
            && now.saturating_sub(self.at) < self.pause()
    }

    fn pause(&self) -> Duration {
        let total = self.total.unwrap_or_default();
        (Duration::from_secs(1) * total / TASKS_A_SECOND).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCHING: Direction = Direction::Patching;

    fn look(total: u32) -> LastLook {
        LastLook {
            at: Duration::from_secs(100),
            direction: PATCHING,
            total: Some(total),
            switched: Some(7),
            notes: Vec::new(),
        }
    }

    fn serves(look: &LastLook, demand: Demand, millis: u64) -> bool {
        let now = look.at + Duration::from_millis(millis);
        look.serves(demand, PATCHING, now, Some(7))
    }

    #[test]
    fn few_tasks_are_read_every_second() {
        assert!(!serves(&look(2000), Demand::Stalled, 999));
        assert!(!serves(&look(0), Demand::Stalled, 0));
        let unknown = LastLook {
            total: None,
            ..look(0)
        };
        assert!(!serves(&unknown, Demand::Stalled, 0));
    }

    #[test]
    fn many_tasks_are_read_less_often_in_a_stall() {
        assert!(serves(&look(30_000), Demand::Stalled, 9_900));
        assert!(!serves(&look(30_000), Demand::Stalled, 10_000));
        assert!(serves(&look(12_000), Demand::Stalled, 3_900));
        assert!(!serves(&look(1_000_000), Demand::Stalled, 10_000));
    }

    #[test]
    fn who_asks_gets_a_look() {
        assert!(!serves(&look(30_000), Demand::Asked, 1));
        assert!(!serves(&look(30_000), Demand::Watched, 1));
    }

    #[test]
    fn a_change_calls_for_a_look() {
        let last = look(30_000);
        let soon = last.at + Duration::from_secs(1);
        assert!(!last.serves(Demand::Stalled, Direction::Unpatching, soon, Some(7)));
        assert!(!last.serves(Demand::Stalled, PATCHING, soon, Some(8)));
        assert!(!last.serves(Demand::Stalled, PATCHING, soon, None));
        // The clock cannot go back, but nothing breaks if it does.
        assert!(last.serves(Demand::Stalled, PATCHING, Duration::ZERO, Some(7)));
    }
}
