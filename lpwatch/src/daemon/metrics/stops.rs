//! How long the machine was stopped, as a histogram.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::model::{
    EngineKind, Snapshot,
    stops::{BOUNDS_MS, OfEngine},
};

use super::families::{self, histogram};

/// `None` where stops are not hooked.
pub(super) fn family(snapshot: &Snapshot) -> Option<MetricFamily> {
    let stops = snapshot.stops.as_ref()?;
    Some(families::family(
        "lpwatch_machine_stopped_seconds",
        "How long stop_machine held all CPUs since the daemon started, by the patching system that \
         stopped them, or none.",
        MetricType::HISTOGRAM,
        stops.engines.iter().map(series).collect(),
    ))
}

fn series(of_engine: &OfEngine) -> Metric {
    let OfEngine {
        engine,
        times,
        total_ms,
        longest_ms: _,
        buckets,
    } = of_engine;
    let engine = engine.map_or("none", EngineKind::name);
    let seconds = BOUNDS_MS.iter().map(|bound| bound / 1e3);
    let buckets = seconds.zip(buckets.iter().copied());
    histogram(&[("engine", engine)], buckets, *times, total_ms / 1e3)
}

#[cfg(test)]
mod tests {
    use crate::{
        daemon::metrics::render,
        model::{
            samples,
            stops::{OfEngine, Stops},
            totals::Totals,
        },
    };

    use super::*;

    #[test]
    fn stops_are_a_histogram_where_they_are_hooked() {
        let mut snapshot = samples::snapshot(Vec::new());
        let text = render(&snapshot, &Totals::default()).unwrap();
        assert!(!text.contains("lpwatch_machine_stopped"), "{text}");
        snapshot.stops = Some(Stops {
            counted_since: samples::now(),
            engines: vec![OfEngine {
                engine: Some(EngineKind::Kpatch),
                times: 2,
                total_ms: 2030.0,
                longest_ms: 2000.0,
                buckets: vec![0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
            }],
            last: Vec::new(),
            records_lost: 0,
        });
        let text = render(&snapshot, &Totals::default()).unwrap();
        for line in [
            "bucket{engine=\"kpatch\",le=\"0.02\"} 0",
            "bucket{engine=\"kpatch\",le=\"0.04\"} 1",
            "bucket{engine=\"kpatch\",le=\"1\"} 1",
            "bucket{engine=\"kpatch\",le=\"+Inf\"} 2",
            "sum{engine=\"kpatch\"} 2.03",
            "count{engine=\"kpatch\"} 2",
        ] {
            let line = format!("lpwatch_machine_stopped_seconds_{line}\n");
            assert!(text.contains(&line), "no {line} in {text}");
        }
    }
}
