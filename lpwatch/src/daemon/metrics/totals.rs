//! Counts over the transitions that ended since the daemon began.
//!
//! Plain numbers, so that a daemon of the past and a simulated one are the same
//! thing. They begin at 0 with the daemon, as counters of Prometheus may.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{Direction, Outcome, snapshot::PastTransition};

/// The upper bounds of the histogram's buckets, in seconds. The kernel's first
/// signal comes at 15 s, "long" begins at an hour.
const BOUNDS: [f64; 14] = [
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
];

/// How the transitions went that ended since the daemon began.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    ended: BTreeMap<Ending, Tally>,
}

/// Direction (`None` for a patch refused before it began) and outcome.
type Ending = (Option<Direction>, Outcome);

/// Transitions that ended in one way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    number: u64,
    /// Those among them whose duration is known: how many lie within each bound
    /// but not within the one before, how many there are, and their sum.
    within: [u64; BOUNDS.len()],
    timed: u64,
    seconds: f64,
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

    pub(super) fn families(&self) -> impl Iterator<Item = MetricFamily> {
        let series = |(ending, tally): (&Ending, &Tally)| counter(*ending, tally.number);
        let ended = family(
            "lpwatch_transitions_total",
            "Transitions that ended since the daemon began, by how.",
            MetricType::COUNTER,
            self.ended.iter().map(series).collect(),
        );
        let timed = self.ended.iter().filter(|(_, tally)| tally.timed > 0);
        let durations = family(
            "lpwatch_transition_duration_seconds",
            "How long transitions took that ended since the daemon began, in seconds.",
            MetricType::HISTOGRAM,
            timed
                .map(|(ending, tally)| histogram(*ending, tally))
                .collect(),
        );
        // The encoder takes no family without a series.
        let families = [ended, durations].into_iter();
        families.filter(|family| !family.get_metric().is_empty())
    }
}

/// As in labels.
pub(super) fn direction_name(direction: Option<Direction>) -> &'static str {
    direction.map_or("unknown", Direction::name)
}

pub(super) fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    series: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(series);
    family
}

fn labels((direction, outcome): Ending) -> Vec<LabelPair> {
    let label = |(name, value): (&str, &str)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    };
    [
        ("direction", direction_name(direction)),
        ("outcome", outcome.name()),
    ]
    .map(label)
    .into()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 transitions do not end in the life of a host"
)]
fn counter(ending: Ending, number: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(number as f64);
    let mut metric = Metric::from_label(labels(ending));
    metric.set_counter(counter);
    metric
}

fn histogram(ending: Ending, tally: &Tally) -> Metric {
    let mut below = 0;
    let buckets = BOUNDS.iter().zip(tally.within).map(|(bound, within)| {
        below += within;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(tally.timed);
    histogram.set_sample_sum(tally.seconds);
    let mut metric = Metric::from_label(labels(ending));
    metric.set_histogram(histogram);
    metric
}
