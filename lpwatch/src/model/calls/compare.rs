//! Whether a function is called at another rate than before.
//!
//! Calls come in bursts, so nothing is assumed of how they are spread: the
//! Mann-Whitney U test (H. B. Mann, D. R. Whitney, Annals of Mathematical
//! Statistics 18, 1947) asks only whether rates of the one time tend to be
//! larger than those of the other. A change has to be large as well: with
//! enough calls the smallest one is beyond chance.

use std::collections::VecDeque;

use statrs::stats_tests::{
    Alternative,
    mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu},
};

/// Stretches that have to be there on both sides.
const ENOUGH: usize = 8;

/// A host has hundreds of functions patched, and each is tested again and
/// again: one false alarm in twenty would be many.
const CHANCE: f64 = 1e-3;

/// A change by half.
const LARGE: f64 = 1.5;

/// A rate that is another than before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Medians, in calls per second.
    pub before: f64,
    pub after: f64,
    /// In words.
    pub factor: String,
    /// By chance alone a difference this clear comes up this often.
    pub probability: f64,
}

/// The change between two times, if there is one beyond chance, and large.
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

/// How much larger or smaller, where that is much.
fn factor(before: f64, after: f64) -> Option<String> {
    if before <= 0.0 && after <= 0.0 {
        return None;
    }
    if after >= before * LARGE {
        return Some(if before > 0.0 {
            format!("{:.1} times as often", after / before)
        } else {
            "hardly ever before".to_owned()
        });
    }
    (before >= after * LARGE).then(|| {
        if after > 0.0 {
            format!("{:.1} times less often", before / after)
        } else {
            "hardly ever now".to_owned()
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
        assert_eq!(change.factor, "hardly ever now");
    }

    #[test]
    fn chance_and_small_changes_are_none() {
        let usual = rates(100.0, 300.0, 20);
        assert_eq!(compare(&usual, &rates(110.0, 300.0, 20)), None, "small");
        assert_eq!(compare(&usual, &rates(900.0, 1.0, 7)), None, "too little");
        // Bursts: large now and then, before and after.
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
