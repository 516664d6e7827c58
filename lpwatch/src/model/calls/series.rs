//! Calls over time: for rates, and for comparing before with after.

use std::{collections::VecDeque, time::Duration};

use super::figures::{Rate, to_float};
use crate::model::time::three_digits;

/// The windows over which rates are given, in seconds.
pub(super) const RATES: [u32; 3] = [10, 60, 300];

/// Samples are kept this far apart, once they are older than the shortest
/// window.
const COARSE: Duration = Duration::from_secs(5);
const FINE_FOR: Duration = Duration::from_secs(15);
const KEPT_FOR: Duration = Duration::from_secs(320);

/// Old and new calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub old: u64,
    pub new: u64,
}

impl Split {
    pub fn all(self) -> u64 {
        self.old.saturating_add(self.new)
    }
}

/// Sums at times since boot, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    samples: VecDeque<(Duration, Split)>,
}

impl Series {
    /// Adds the sums at a time later than all before.
    pub fn push(&mut self, at: Duration, sums: Split) {
        self.samples.push_back((at, sums));
        self.thin_out(at);
        while let Some((_, (second, _))) = self.samples.front().zip(self.samples.get(1))
            && at.saturating_sub(*second) > KEPT_FOR
        {
            self.samples.pop_front();
        }
    }

    /// Leaves one of those that grew old in each stretch of [`COARSE`]. Only
    /// the newest of the coarse ones can be too close to the one before.
    fn thin_out(&mut self, now: Duration) {
        let is_fine = |(at, _): &(Duration, Split)| now.saturating_sub(*at) < FINE_FOR;
        let coarse = self.samples.partition_point(|sample| !is_fine(sample));
        if coarse < 3 {
            return;
        }
        let before = self.samples.get(coarse - 3).map(|(at, _)| *at);
        let newest = self.samples.get(coarse - 1).map(|(at, _)| *at);
        if let (Some(before), Some(newest)) = (before, newest)
            && newest.saturating_sub(before) < COARSE
        {
            self.samples.remove(coarse - 2);
        }
    }

    /// The rates over each window that the samples reach back to.
    pub fn rates(&self) -> Vec<Rate> {
        let rates = RATES.into_iter().map(|seconds| self.rate(seconds));
        rates.flatten().collect()
    }

    fn rate(&self, seconds: u32) -> Option<Rate> {
        let (now, last) = self.samples.back()?;
        let window = Duration::from_secs(u64::from(seconds));
        let mut before = self.samples.iter().rev();
        let (at, first) = before.find(|(at, _)| now.saturating_sub(*at) >= window)?;
        let time = now.saturating_sub(*at);
        Some(Rate {
            seconds,
            old_per_second: per_second(last.old.saturating_sub(first.old), time)?,
            new_per_second: per_second(last.new.saturating_sub(first.new), time)?,
        })
    }
}

/// `None` for no time at all.
pub(super) fn per_second(calls: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    (seconds > 0.0).then(|| three_digits(to_float(calls) / seconds))
}

/// Rates over stretches of time, one after the other: what a test of two times
/// compares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stretches {
    open: Option<(Duration, u64)>,
    /// Calls per second, the oldest first.
    pub rates: VecDeque<f64>,
}

/// How long a stretch is: long against the time between two readings.
const STRETCH: Duration = Duration::from_secs(5);
/// Stretches kept: five minutes.
const STRETCHES: usize = 60;

impl Stretches {
    /// Takes in the sum of all calls at that time.
    pub fn push(&mut self, at: Duration, sum: u64) {
        let Some((began, first)) = self.open else {
            self.open = Some((at, sum));
            return;
        };
        let time = at.saturating_sub(began);
        if time < STRETCH {
            return;
        }
        // A reading that came late spoils its stretch.
        if time < 2 * STRETCH
            && let Some(rate) = per_second(sum.saturating_sub(first), time)
        {
            if self.rates.len() == STRETCHES {
                self.rates.pop_front();
            }
            self.rates.push_back(rate);
        }
        self.open = Some((at, sum));
    }

    /// Begins anew: what comes is not to be mixed with what was.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn rates_reach_back_as_far_as_was_counted() {
        let mut series = Series::default();
        for second in 0..=400 {
            let sums = Split {
                old: second * 3,
                new: if second > 390 { (second - 390) * 5 } else { 0 },
            };
            series.push(at(second), sums);
            let windows = series.rates().len();
            let expected = RATES.iter().filter(|window| u64::from(**window) <= second);
            assert_eq!(windows, expected.count(), "after {second} s");
        }
        let rates = series.rates();
        assert!((rates[0].old_per_second - 3.0).abs() < f64::EPSILON);
        assert!((rates[0].new_per_second - 5.0).abs() < f64::EPSILON);
        assert!((rates[1].old_per_second - 3.0).abs() < f64::EPSILON);
        assert!(rates[1].new_per_second < 1.0);
        assert!(series.samples.len() < 100, "{}", series.samples.len());
    }

    #[test]
    fn stretches_are_as_long_as_readings_allow() {
        let mut stretches = Stretches::default();
        for second in 0..=20 {
            stretches.push(at(second), second * 2);
        }
        // Late: nobody knows how the calls were spread.
        stretches.push(at(60), 1000);
        for second in 60..=65 {
            stretches.push(at(second), 1000);
        }
        assert_eq!(stretches.rates, [2.0, 2.0, 2.0, 2.0, 0.0]);
    }
}
