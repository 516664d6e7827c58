//! The transitions that ended since the daemon started, as counters and a
//! histogram.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::model::{
    Direction,
    totals::{BOUNDS, EndKind, Tally, Totals},
};

use super::families::{counter, family, histogram};

pub(super) fn families(totals: &Totals) -> impl Iterator<Item = MetricFamily> {
    let numbers = family(
        "lpwatch_transitions_total",
        "Transitions that ended since the daemon started, by outcome.",
        MetricType::COUNTER,
        totals.endings().map(ended).collect(),
    );
    let timed = totals.endings().filter(|(_, tally)| tally.timed > 0);
    let durations = family(
        "lpwatch_transition_duration_seconds",
        "How long the transitions took that ended since the daemon started, in seconds.",
        MetricType::HISTOGRAM,
        timed.map(duration).collect(),
    );
    // The encoder rejects a family without a series.
    let families = [numbers, durations].into_iter();
    families.filter(|family| !family.get_metric().is_empty())
}

/// The value of the label `direction`.
pub(super) fn direction_name(direction: Option<Direction>) -> &'static str {
    direction.map_or("unknown", Direction::name)
}

fn labels((direction, outcome): EndKind) -> [(&'static str, &'static str); 2] {
    [
        ("direction", direction_name(direction)),
        ("outcome", outcome.name()),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 transitions do not end in the life of a host"
)]
fn ended((ending, tally): (EndKind, &Tally)) -> Metric {
    counter(&labels(ending), tally.number as f64)
}

fn duration((ending, tally): (EndKind, &Tally)) -> Metric {
    let buckets = BOUNDS.into_iter().zip(tally.within);
    histogram(&labels(ending), buckets, tally.timed, tally.seconds)
}
