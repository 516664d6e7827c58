//! The last snapshot as Prometheus metrics (text format), and the totals since
//! the daemon started.
//!
//! The metrics are built from the snapshot at each scrape, so that no series of
//! a removed patch remains. Label values come from closed sets and from names
//! of patches, objects and functions, never from pids or names of tasks. An
//! unknown value has no series.

mod families;
mod functions;
mod host;
mod patches;
mod stops;
#[cfg(test)]
mod tests;
mod totals;
mod transitions;

use prometheus::{Encoder, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::model::{Snapshot, totals::Totals};

/// An error here is a fault of lpwatch: the scrape fails and reports it.
type MetricsResult = Result<(), prometheus::Error>;

/// Renders the metrics of a snapshot, and of the transitions that ended.
///
/// # Errors
/// Prometheus does not accept a name or a label.
pub fn render(snapshot: &Snapshot, totals: &Totals) -> Result<String, prometheus::Error> {
    render_all(snapshot, totals, None)
}

/// The same with whether the history is written; `None` if none is kept.
///
/// # Errors
/// As those of [`render`].
pub fn render_all(
    snapshot: &Snapshot,
    totals: &Totals,
    is_history_written: Option<bool>,
) -> Result<String, prometheus::Error> {
    let metrics = Metrics {
        registry: Registry::new(),
    };
    metrics.host(snapshot)?;
    metrics.history(is_history_written)?;
    metrics.collectors(snapshot)?;
    metrics.patches(&snapshot.patches)?;
    metrics.transitions(&snapshot.patches)?;
    metrics.past(&snapshot.last_transitions)?;
    metrics.functions(snapshot)?;
    let mut families = metrics.registry.gather();
    families.extend(totals::families(totals));
    families.extend(stops::family(snapshot));
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
}

struct Metrics {
    registry: Registry,
}

impl Metrics {
    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }
}

fn flag(is_set: bool) -> f64 {
    if is_set { 1.0 } else { 0.0 }
}
