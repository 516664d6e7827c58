//! Whether the code of a patch runs: compares the entries of the new function with
//! the calls that should lead there.
//!
//! Hooks count both, and lpwatch reads one count after the other. A call can be
//! between the two hooks or between the two readings, so only a lasting difference
//! counts.

use std::time::Duration;

use super::figures::Entered;

/// How long a call may be between the two hooks.
pub(super) const CONFIRMED_AFTER: Duration = Duration::from_millis(500);

/// The share of missing entries, in thousandths, that the hooks explain: a hook
/// that fires while another runs on the same CPU is not counted.
const TOLERATED_PER_MILLE: u64 = 10;
const TOLERATED: u64 = 3;

/// Entries are read a little later than calls. This share of the calls may have
/// come in between.
const AHEAD_PART: u64 = 10;

/// The two numbers at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    at: Duration,
    expected: u64,
    entries: u64,
}

/// The state of the comparison for one new function.
#[derive(Clone, Debug)]
pub(super) struct EffectTracker {
    function: String,
    /// When the counter of the entries began.
    since: Duration,
    /// Where counting both began.
    first: Pair,
    /// Where the current comparison began.
    base: Pair,
    last: Pair,
    /// Since when entries are missing, and the least number missing.
    doubt: Option<(Duration, u64)>,
    pub effective: Option<bool>,
    /// Calls that were found not to have led to the new function.
    missing: u64,
}

impl EffectTracker {
    pub fn new(function: &str, since: Duration, at: Duration, expected: u64, entries: u64) -> Self {
        let first = Pair {
            at,
            expected,
            entries,
        };
        Self {
            function: function.to_owned(),
            since,
            first,
            base: first,
            last: first,
            doubt: None,
            effective: None,
            missing: 0,
        }
    }

    /// Whether this counter is still the same.
    pub fn is_of(&self, function: &str, since: Duration) -> bool {
        self.function == function && self.since == since
    }

    /// Adds a reading of both numbers, which only grow.
    pub fn take(&mut self, at: Duration, expected: u64, entries: u64) {
        self.last = Pair {
            at,
            expected,
            entries,
        };
        let (calls, entered) = self.grown();
        let missing = calls.saturating_sub(entered);
        if missing == 0 {
            if calls > 0 {
                self.effective = Some(true);
            }
            self.judge_anew((entered - calls).min(TOLERATED.max(calls / AHEAD_PART)));
            return;
        }
        let (since, least) = self.doubt.unwrap_or((at, missing));
        let least = least.min(missing);
        self.doubt = Some((since, least));
        if at.saturating_sub(since) < CONFIRMED_AFTER {
            return;
        }
        let tolerated = TOLERATED.max(calls / 1000 * TOLERATED_PER_MILLE);
        let effective = entered > 0 && least <= tolerated;
        // Entries are read after calls, so this number is not too large.
        if !effective || self.effective == Some(false) {
            self.missing += missing;
        }
        self.effective = Some(effective);
        self.judge_anew(0);
    }

    /// Calls that should have led to the new function and did not. While it does not
    /// run, the latest ones need no confirmation.
    pub fn missing(&self) -> u64 {
        let latest = if self.effective == Some(false) {
            let (calls, entered) = self.grown();
            calls.saturating_sub(entered)
        } else {
            0
        };
        self.missing + latest
    }

    /// Entries are no longer counted: whether it runs is unknown from now on.
    pub fn lose(&mut self) {
        self.missing = self.missing();
        self.effective = None;
    }

    /// Calls and entries since the current comparison began.
    fn grown(&self) -> (u64, u64) {
        (
            self.last.expected.saturating_sub(self.base.expected),
            self.last.entries.saturating_sub(self.base.entries),
        )
    }

    /// Starts a new comparison. Surplus entries may belong to calls that the next
    /// reading shows.
    fn judge_anew(&mut self, ahead: u64) {
        self.base = self.last;
        self.base.entries = self.base.entries.saturating_sub(ahead);
        self.doubt = None;
    }

    /// Whether entries are missing, but not yet for long enough.
    pub fn is_doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    /// The numbers since both are counted.
    pub fn entered(&self) -> Entered {
        Entered {
            function: self.function.clone(),
            entries: self.last.entries.saturating_sub(self.first.entries),
            expected: self.last.expected.saturating_sub(self.first.expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn effect() -> EffectTracker {
        EffectTracker::new("new", at(0), at(0), 100, 7)
    }

    #[test]
    fn nothing_is_said_without_a_call() {
        let mut effect = effect();
        effect.take(at(1000), 100, 7);
        assert_eq!(effect.effective, None);
        effect.take(at(2000), 100, 9);
        assert_eq!(effect.effective, None, "called from elsewhere");
    }

    #[test]
    fn entries_show_the_effect() {
        let mut effect = effect();
        effect.take(at(1000), 150, 57);
        assert_eq!(effect.effective, Some(true));
        let entered = effect.entered();
        assert_eq!((entered.entries, entered.expected), (50, 50));
    }

    #[test]
    fn a_call_on_its_way_is_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 101, 7);
        assert!(effect.is_doubtful());
        assert_eq!(effect.effective, None);
        effect.take(at(1100), 101, 8);
        assert_eq!(effect.effective, Some(true));
        assert_eq!(effect.missing(), 0);
    }

    #[test]
    fn one_call_that_never_arrives_is_enough() {
        let mut effect = effect();
        effect.take(at(1000), 101, 7);
        effect.take(at(1500), 101, 7);
        assert_eq!((effect.effective, effect.missing()), (Some(false), 1));
        // And it is not counted twice.
        effect.take(at(2500), 101, 7);
        assert_eq!((effect.effective, effect.missing()), (Some(false), 1));
        effect.take(at(3500), 111, 17);
        assert_eq!((effect.effective, effect.missing()), (Some(true), 1));
    }

    #[test]
    fn no_call_without_an_entry_counts_as_new() {
        let mut effect = effect();
        for second in 1..=10 {
            effect.take(at(second * 1000), 100 + second * 80, 7);
            if second >= 2 {
                assert_eq!(effect.effective, Some(false));
                assert_eq!(effect.missing(), second * 80, "after {second} s");
            }
        }
        // Its entries are lost: what is known stays.
        effect.lose();
        assert_eq!((effect.effective, effect.missing()), (None, 800));
    }

    #[test]
    fn the_number_of_missing_calls_never_falls() {
        let mut effect = effect();
        let mut before = 0;
        for second in 1..=6 {
            effect.take(at(second * 1000), 100 + second * 80, 7);
            assert!(effect.missing() >= before, "{effect:?}");
            before = effect.missing();
        }
        for second in 7..=12 {
            effect.take(at(second * 1000), 100 + second * 80, 7 + (second - 6) * 80);
            assert!(effect.missing() >= before, "{effect:?}");
            before = effect.missing();
        }
        assert_eq!((effect.effective, before), (Some(true), 480));
    }

    #[test]
    fn a_share_of_the_calls_is_found_out() {
        let mut effect = effect();
        for second in 1..=3 {
            effect.take(at(second * 1000), 100 + second * 1000, 7 + second * 900);
        }
        assert_eq!(effect.effective, Some(false));
        assert_eq!(effect.missing(), 300);
    }

    #[test]
    fn a_few_uncounted_entries_are_no_proof() {
        let mut effect = effect();
        for second in 1..=30 {
            effect.take(at(second * 1000), 100 + second * 1000, 7 + second * 999);
        }
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
        assert_eq!(effect.entered().entries, 30 * 999);
    }

    #[test]
    fn a_call_between_the_two_readings_is_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 110, 18);
        for half in 3..10 {
            effect.take(at(half * 500), 111, 18);
        }
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
    }

    #[test]
    fn many_calls_between_the_two_readings_are_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 100_100, 102_847);
        effect.take(at(2000), 202_840, 202_747);
        effect.take(at(3000), 202_840, 202_847);
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
    }

    #[test]
    fn what_was_long_ago_hides_nothing() {
        let mut effect = effect();
        for second in 1..=100 {
            effect.take(at(second * 1000), 100 + second * 50, 7 + second * 50);
        }
        for second in 101..=102 {
            effect.take(at(second * 1000), 100 + second * 50, 7 + 100 * 50);
        }
        assert_eq!(effect.effective, Some(false), "{effect:?}");
    }
}
