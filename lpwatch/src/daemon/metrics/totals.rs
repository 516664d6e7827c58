//! The transitions that ended since the daemon started, as counters and a
//! histogram.

use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{
    Direction,
    totals::{BOUNDS, Ending, Tally, Totals},
};

pub(super) fn families(totals: &Totals) -> impl Iterator<Item = MetricFamily> {
    let series = |(ending, tally): (Ending, &Tally)| counter(ending, tally.number);
    let ended = family(
        "lpwatch_transitions_total",
        "Transitions that ended since the daemon started, by outcome.",
        MetricType::COUNTER,
        totals.endings().map(series).collect(),
    );
    let timed = totals.endings().filter(|(_, tally)| tally.timed > 0);
    let durations = family(
        "lpwatch_transition_duration_seconds",
        "How long the transitions took that ended since the daemon started, in seconds.",
        MetricType::HISTOGRAM,
        timed
            .map(|(ending, tally)| histogram(ending, tally))
            .collect(),
    );
    // The encoder rejects a family without a series.
    let families = [ended, durations].into_iter();
    families.filter(|family| !family.get_metric().is_empty())
}

/// The value of the label `direction`.
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
