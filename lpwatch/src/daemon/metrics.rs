//! The last snapshot as Prometheus metrics (text format), and what ended since
//! the daemon began.
//!
//! They are made anew from the snapshot for each scrape, so that nothing that is
//! gone stays behind. Labels come from closed sets and from names of patches,
//! objects and functions; never a pid, never the name of a task. What is not
//! known has no series.

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

/// What went wrong is a mistake of ours: the scrape fails and says so.
type Outcome = Result<(), prometheus::Error>;

/// The metrics of a snapshot, and of the transitions that ended.
///
/// # Errors
/// A name or a label is not one that Prometheus takes.
pub fn render(snapshot: &Snapshot, totals: &Totals) -> Result<String, prometheus::Error> {
    let metrics = Metrics {
        registry: Registry::new(),
    };
    metrics.host(snapshot)?;
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
