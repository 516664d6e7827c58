//! Whether the call rate of a function has changed.
//!
//! Calls come in bursts, so the test assumes no distribution: the Mann-Whitney U
//! test (H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18, 1947)
//! checks only whether the rates of one time tend to be larger than those of the
//! other. The change must also be large, because with enough calls the smallest
//! change is significant.

use std::collections::VecDeque;

use statrs::stats_tests::{
    Alternative,
    mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu},
};

/// The least number of stretches on both sides.
const ENOUGH: usize = 8;

/// A host can have hundreds of patched functions, and each is tested repeatedly,
/// so false alarms must be rare.
const CHANCE: f64 = 1e-3;

/// A change by at least half.
const LARGE: f64 = 1.5;

/// A changed call rate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Medians, in calls per second.
    pub before: f64,
    pub after: f64,
    /// The factor in words.
    pub factor: String,
    /// The probability of such a difference by chance.
    pub probability: f64,
}

/// The change between two times, if it is significant and large.
pub(super) fn compare(before: &VecDeque<f64>, after: &VecDeque<f64>) -> Option<Change> {
    if before.len() < ENOUGH || after.len() < ENOUGH {
        return None;
    }
    let [one, other] = [before, after].map(|rates| rates.iter().copied().collect::<Vec<f64>>());
    let medians = (median(&one)?, median(&other)?);
    let factor = factor(medians.0, medians.1)?;
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let tested = mannwhitneyu(&one, &other, method, Alternative::TwoSided);
    let (_, probability) = tested.ok()?;
    (probability < CHANCE).then_some(Change {
        before: medians.0,
        after: medians.1,
        factor,
        probability,
    })
}

/// The factor in words, if the change is large.
fn factor(before: f64, after: f64) -> Option<String> {
    if before <= 0.0 && after <= 0.0 {
        return None;
    }
    if after >= before * LARGE {
        return Some(if before > 0.0 {
            format!("{:.1} times as often", after / before)
        } else {
            "almost never before".to_owned()
        });
    }
    (before >= after * LARGE).then(|| {
        if after > 0.0 {
            format!("{:.1} times less often", before / after)
        } else {
            "almost never now".to_owned()
        }
    })
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(rate: f64, spread: f64, count: u32) -> VecDeque<f64> {
        (0..count)
            .map(|n| rate + spread * f64::from(n % 7) / 7.0)
            .collect()
    }

    #[test]
    fn a_large_change_is_found() {
        let change = compare(&rates(100.0, 30.0, 20), &rates(210.0, 60.0, 12)).unwrap();
        assert!(change.before < 130.0 && change.after > 200.0);
        assert_eq!(change.factor, "2.1 times as often");
        assert!(change.probability < 1e-3, "{}", change.probability);
        let change = compare(&rates(100.0, 30.0, 20), &rates(0.0, 0.0, 12)).unwrap();
        assert_eq!(change.factor, "almost never now");
    }

    #[test]
    fn chance_and_small_changes_are_none() {
        let usual = rates(100.0, 300.0, 20);
        assert_eq!(compare(&usual, &rates(110.0, 300.0, 20)), None, "small");
        assert_eq!(compare(&usual, &rates(900.0, 1.0, 7)), None, "too little");
        // Occasional bursts, before and after.
        let bursts: VecDeque<f64> = (0..20)
            .map(|n| if n % 5 == 0 { 1000.0 } else { 1.0 })
            .collect();
        let more: VecDeque<f64> = (0..20)
            .map(|n| if n % 4 == 0 { 1000.0 } else { 1.0 })
            .collect();
        assert_eq!(compare(&bursts, &more), None, "bursts");
        assert_eq!(
            compare(&rates(0.0, 0.0, 9), &rates(0.0, 0.0, 9)),
            None,
            "silence"
        );
    }
}
