//! Metrics of the host and of lpwatch itself.

use crate::model::{
    ObservedFact, Snapshot,
    snapshot::{Function, Probe},
};

use super::{Metrics, MetricsResult, flag};

impl Metrics {
    pub(super) fn host(&self, snapshot: &Snapshot) -> MetricsResult {
        let help = "The version of lpwatch; always 1.";
        let info = self.gauge("lpwatch_build_info", help, &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let help = "The kernel's release and where tasks are read from (bpf or procfs); always 1.";
        let host = self.gauge("lpwatch_host_info", help, &["kernel", "source"])?;
        host.with_label_values(&[snapshot.head.kernel.as_str(), snapshot.head.source.into()])
            .set(1.0);
        let help = "When the snapshot was taken, in seconds since the epoch.";
        let taken = self.gauge("lpwatch_snapshot_timestamp_seconds", help, &[])?;
        taken
            .with_label_values::<&str>(&[])
            .set(snapshot.head.taken_at.as_duration().as_secs_f64());
        let help =
            "Kernel events lost because a buffer was full; the state was read again instead.";
        let lost = self.counter("lpwatch_events_lost_total", help, &[])?;
        lost.with_label_values::<&str>(&[])
            .inc_by(snapshot.events_lost);
        let help = "Whether the hook for a fact is attached: 1 or 0.";
        let attached = self.gauge("lpwatch_probe_attached", help, &["probe", "kind"])?;
        for probe in &snapshot.probes {
            attached
                .with_label_values(&[probe.fact.name(), &probe.kind])
                .set(flag(probe.attached));
        }
        Ok(())
    }

    /// Absent if no history is kept.
    pub(super) fn history(&self, is_written: Option<bool>) -> MetricsResult {
        let Some(is_written) = is_written else {
            return Ok(());
        };
        let help = "Whether the last event was written to the history: 1 or 0.";
        let written = self.gauge("lpwatch_history_written", help, &[])?;
        written.with_label_values::<&str>(&[]).set(flag(is_written));
        Ok(())
    }

    pub(super) fn collectors(&self, snapshot: &Snapshot) -> MetricsResult {
        let help = "Whether a source of facts works on this host: 1 or 0.";
        let success = self.gauge("lpwatch_collector_success", help, &["collector"])?;
        let probes = &snapshot.probes;
        let hooks = works(probes, ObservedFact::Begun) && works(probes, ObservedFact::Complete);
        for (collector, succeeds) in [
            ("hooks", hooks),
            ("tasks", works(probes, ObservedFact::Tasks)),
            ("calls", hooks && counts(snapshot)),
            ("kernel_log", works(probes, ObservedFact::Log)),
            // The loop ends, and the daemon with it, when sysfs cannot be read.
            ("sysfs", true),
        ] {
            success.with_label_values(&[collector]).set(flag(succeeds));
        }
        Ok(())
    }
}

fn works(probes: &[Probe], fact: ObservedFact) -> bool {
    probes
        .iter()
        .any(|probe| probe.fact == fact && probe.attached)
}

/// Whether calls can be counted: true unless all functions were given up. Some
/// never can be counted (inlined, not traceable).
fn counts(snapshot: &Snapshot) -> bool {
    let objects = snapshot.patches.iter().flat_map(|patch| &patch.objects);
    let functions: Vec<&Function> = objects.flat_map(|object| &object.functions).collect();
    functions.is_empty()
        || functions
            .iter()
            .any(|function| function.not_counted.is_none())
}
