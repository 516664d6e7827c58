//! Whether the code of a patch runs: compares the entries of the new function with
//! the calls that should lead there.
//!
//! Hooks count both, and lpwatch reads one count after the other: the entries before
//! the calls, and once more after them. How many entries there were when the calls
//! were read lies between the two. A call can also be between the two hooks, so only a
//! lasting difference counts.

use std::time::Duration;

use super::figures::Entered;

/// How long a call may be between the two hooks.
pub(super) const CONFIRMED_AFTER: Duration = Duration::from_millis(500);

/// The share of missing entries, in thousandths, that the hooks explain: a hook
/// that fires while another runs on the same CPU is not counted.
const TOLERATED_PER_MILLE: u64 = 10;
const TOLERATED: u64 = 3;

/// How often the new function was entered, read before and after the calls. A
/// processor that others use can take a second from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntriesAround {
    pub before: u64,
    pub after: u64,
}

/// The two numbers at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    expected: u64,
    entries: EntriesAround,
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
    pub fn new(function: &str, since: Duration, expected: u64, entries: EntriesAround) -> Self {
        let first = Pair { expected, entries };
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
    pub fn take(&mut self, at: Duration, expected: u64, entries: EntriesAround) {
        self.last = Pair { expected, entries };
        let (calls, entered) = self.grown();
        let missing = calls.saturating_sub(entered);
        if missing == 0 {
            if calls > 0 {
                self.effective = Some(true);
            }
            self.judge_anew();
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
        // The most entries that there can have been: this number is not too large.
        if !effective || self.effective == Some(false) {
            self.missing += missing;
        }
        self.effective = Some(effective);
        self.judge_anew();
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

    /// Calls since the current comparison began, and the most entries since then.
    fn grown(&self) -> (u64, u64) {
        let (base, last) = (self.base, self.last);
        (
            last.expected.saturating_sub(base.expected),
            last.entries.after.saturating_sub(base.entries.before),
        )
    }

    /// Starts a new comparison.
    fn judge_anew(&mut self) {
        self.base = self.last;
        self.doubt = None;
    }

    /// Whether entries are missing, but not yet for long enough.
    pub fn is_doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    /// The numbers since both are counted: of the numbers of entries that are possible
    /// the one closest to the calls.
    pub fn entered(&self) -> Entered {
        let (first, last) = (self.first, self.last);
        let expected = last.expected.saturating_sub(first.expected);
        let most = last.entries.after.saturating_sub(first.entries.before);
        let least = last.entries.before.saturating_sub(first.entries.after);
        Entered {
            function: self.function.clone(),
            entries: expected.clamp(least.min(most), most),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn read_at_once(entries: u64) -> EntriesAround {
        EntriesAround {
            before: entries,
            after: entries,
        }
    }

    fn read_between(before: u64, after: u64) -> EntriesAround {
        EntriesAround { before, after }
    }

    fn effect() -> EffectTracker {
        EffectTracker::new("new", at(0), 100, read_at_once(7))
    }

    #[test]
    fn nothing_is_said_without_a_call() {
        let mut effect = effect();
        effect.take(at(1000), 100, read_at_once(7));
        assert_eq!(effect.effective, None);
        effect.take(at(2000), 100, read_at_once(9));
        assert_eq!(effect.effective, None, "called from elsewhere");
    }

    #[test]
    fn entries_show_the_effect() {
        let mut effect = effect();
        effect.take(at(1000), 150, read_at_once(57));
        assert_eq!(effect.effective, Some(true));
        let entered = effect.entered();
        assert_eq!((entered.entries, entered.expected), (50, 50));
    }

    #[test]
    fn a_call_on_its_way_is_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 101, read_at_once(7));
        assert!(effect.is_doubtful());
        assert_eq!(effect.effective, None);
        effect.take(at(1100), 101, read_at_once(8));
        assert_eq!(effect.effective, Some(true));
        assert_eq!(effect.missing(), 0);
    }

    #[test]
    fn one_call_that_never_arrives_is_enough() {
        let mut effect = effect();
        effect.take(at(1000), 101, read_at_once(7));
        effect.take(at(1500), 101, read_at_once(7));
        assert_eq!((effect.effective, effect.missing()), (Some(false), 1));
        // And it is not counted twice.
        effect.take(at(2500), 101, read_at_once(7));
        assert_eq!((effect.effective, effect.missing()), (Some(false), 1));
        effect.take(at(3500), 111, read_at_once(17));
        assert_eq!((effect.effective, effect.missing()), (Some(true), 1));
    }

    #[test]
    fn no_call_without_an_entry_counts_as_new() {
        let mut effect = effect();
        for second in 1..=10 {
            effect.take(at(second * 1000), 100 + second * 80, read_at_once(7));
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
            effect.take(at(second * 1000), 100 + second * 80, read_at_once(7));
            assert!(effect.missing() >= before, "{effect:?}");
            before = effect.missing();
        }
        for second in 7..=12 {
            effect.take(
                at(second * 1000),
                100 + second * 80,
                read_at_once(7 + (second - 6) * 80),
            );
            assert!(effect.missing() >= before, "{effect:?}");
            before = effect.missing();
        }
        assert_eq!((effect.effective, before), (Some(true), 480));
    }

    #[test]
    fn a_share_of_the_calls_is_found_out() {
        let mut effect = effect();
        for second in 1..=3 {
            effect.take(
                at(second * 1000),
                100 + second * 1000,
                read_at_once(7 + second * 900),
            );
        }
        assert_eq!(effect.effective, Some(false));
        assert_eq!(effect.missing(), 300);
    }

    #[test]
    fn a_few_uncounted_entries_are_no_proof() {
        let mut effect = effect();
        for second in 1..=30 {
            effect.take(
                at(second * 1000),
                100 + second * 1000,
                read_at_once(7 + second * 999),
            );
        }
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
        assert_eq!(effect.entered().entries, 30 * 999);
    }

    #[test]
    fn a_call_between_the_two_readings_is_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 110, read_between(17, 18));
        for half in 3..10 {
            effect.take(at(half * 500), 111, read_at_once(18));
        }
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
    }

    #[test]
    fn many_calls_between_the_two_readings_are_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 100_100, read_between(100_007, 102_847));
        effect.take(at(2000), 202_840, read_at_once(202_747));
        effect.take(at(3000), 202_840, read_at_once(202_847));
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
    }

    /// The first reading of a guest whose processor others used: 825 calls came between
    /// the reading of the calls and that of the entries.
    #[test]
    fn calls_within_the_first_reading_are_no_proof() {
        let mut effect = EffectTracker::new("new", at(0), 100, read_between(7, 832));
        effect.take(at(3000), 24_264, read_at_once(24_171));
        effect.take(at(4000), 24_264, read_at_once(24_171));
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
        let entered = effect.entered();
        assert_eq!((entered.entries, entered.expected), (24_164, 24_164));
    }

    #[test]
    fn calls_within_a_later_reading_are_no_proof() {
        let mut effect = effect();
        effect.take(at(1000), 200, read_between(107, 1_007));
        for second in 2..=9 {
            effect.take(at(second * 1000), 1_100, read_at_once(1_007));
        }
        assert_eq!((effect.effective, effect.missing()), (Some(true), 0));
    }

    #[test]
    fn what_was_long_ago_hides_nothing() {
        let mut effect = effect();
        for second in 1..=100 {
            effect.take(
                at(second * 1000),
                100 + second * 50,
                read_at_once(7 + second * 50),
            );
        }
        for second in 101..=102 {
            effect.take(
                at(second * 1000),
                100 + second * 50,
                read_at_once(7 + 100 * 50),
            );
        }
        assert_eq!(effect.effective, Some(false), "{effect:?}");
    }
}
