//! Families of metrics from sums that were made elsewhere: the vectors of the
//! crate `prometheus` count and observe for themselves, and take no sums.

use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

type Labels<'a> = [(&'a str, &'a str)];

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

pub(super) fn counter(labels: &Labels<'_>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

/// `buckets`: each upper bound, and what lies within it but not within the one
/// before.
pub(super) fn histogram(
    labels: &Labels<'_>,
    buckets: impl Iterator<Item = (f64, u64)>,
    count: u64,
    sum: f64,
) -> Metric {
    let mut below = 0;
    let buckets = buckets.map(|(bound, within)| {
        below += within;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}

fn labelled(labels: &Labels<'_>) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    });
    Metric::from_label(labels.collect())
}
