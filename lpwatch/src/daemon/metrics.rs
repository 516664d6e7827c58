//! The last snapshot as Prometheus metrics (text format).
//!
//! They are made anew from the snapshot for each scrape, so that nothing that is
//! gone stays behind. Labels come from closed sets and from names of patches,
//! objects and functions; never a pid, never the name of a task.

use prometheus::{Encoder, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::model::{
    Phase, Snapshot,
    snapshot::{Calls, Function, Object, Patch, Transition},
};

/// What went wrong is a mistake of ours: the scrape fails and says so.
type Outcome = Result<(), prometheus::Error>;

/// The metrics of a snapshot.
///
/// # Errors
/// A name or a label is not one that Prometheus takes.
pub(super) fn render(snapshot: &Snapshot) -> Result<String, prometheus::Error> {
    let metrics = Metrics {
        registry: Registry::new(),
    };
    metrics.host(snapshot)?;
    metrics.patches(&snapshot.patches)?;
    metrics.transitions(&snapshot.patches)?;
    metrics.functions(snapshot)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&metrics.registry.gather(), &mut text)?;
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

    fn host(&self, snapshot: &Snapshot) -> Outcome {
        let help = "The version of lpwatch; always 1.";
        let info = self.gauge("lpwatch_build_info", help, &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let help = "Kernel events that found no room; the state was read again instead.";
        let lost = self.counter("lpwatch_events_lost_total", help, &[])?;
        lost.with_label_values::<&str>(&[])
            .inc_by(snapshot.events_lost);
        let help = "Whether the hook for a fact is in place.";
        let attached = self.gauge("lpwatch_probe_attached", help, &["probe", "kind"])?;
        for probe in &snapshot.probes {
            attached
                .with_label_values(&[&probe.fact, &probe.kind])
                .set(flag(probe.attached));
        }
        Ok(())
    }

    fn patches(&self, patches: &[Patch]) -> Outcome {
        let help = "A loaded patch; always 1.";
        let info = self.gauge("lpwatch_patch_info", help, &["patch", "engine", "replace"])?;
        let help = "Whether the patch is enabled.";
        let enabled = self.gauge("lpwatch_patch_enabled", help, &["patch"])?;
        let help = "Whether calls in the object are redirected.";
        let object_patched =
            self.gauge("lpwatch_patch_object_patched", help, &["patch", "object"])?;
        for patch in patches {
            let replace = match patch.replace {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown",
            };
            info.with_label_values(&[patch.name.as_str(), patch.engine.name(), replace])
                .set(1.0);
            enabled
                .with_label_values(&[&patch.name])
                .set(flag(patch.enabled));
            for Object { name, patched, .. } in &patch.objects {
                if let Some(patched) = patched {
                    object_patched
                        .with_label_values(&[&patch.name, name])
                        .set(flag(*patched));
                }
            }
        }
        Ok(())
    }

    fn transitions(&self, patches: &[Patch]) -> Outcome {
        let help = "A transition is under way in this direction.";
        let labels = ["patch", "direction"];
        let progress = self.gauge("lpwatch_transition_in_progress", help, &labels)?;
        let help = "When the transition began, in seconds since the epoch.";
        let began = self.gauge(
            "lpwatch_transition_start_timestamp_seconds",
            help,
            &["patch"],
        )?;
        let help = "Tasks on each code in the transition.";
        let tasks = self.gauge("lpwatch_transition_tasks", help, &["patch", "code"])?;
        let help = "Tasks that have not switched, by the reason.";
        let labels = ["patch", "reason"];
        let blocked = self.gauge("lpwatch_transition_blocked_tasks", help, &labels)?;
        let help = "Whether no task has switched for as long as counts as stalled.";
        let stalled = self.gauge("lpwatch_transition_stalled", help, &["patch"])?;
        for patch in patches {
            let Some(transition) = &patch.transition else {
                continue;
            };
            let name = patch.name.as_str();
            progress
                .with_label_values(&[name, transition.direction.name()])
                .set(1.0);
            if let Some(started) = transition.started_at {
                let seconds = started.as_duration().as_secs_f64();
                began.with_label_values(&[name]).set(seconds);
            }
            for (code, number) in by_code(transition) {
                tasks
                    .with_label_values(&[name, code])
                    .set(f64::from(number));
            }
            for blocker in &transition.blockers {
                let reason = blocker.reason.map_or("unknown", |reason| reason.name());
                blocked.with_label_values(&[name, reason]).inc();
            }
            if let Some(phase) = transition.phase {
                let is_stalled = phase == Phase::Stalled;
                stalled.with_label_values(&[name]).set(flag(is_stalled));
            }
        }
        Ok(())
    }

    fn functions(&self, snapshot: &Snapshot) -> Outcome {
        let help = "Calls of a patched function, by the code they ran.";
        let labels = ["patch", "object", "function", "code"];
        let calls = self.counter("lpwatch_function_calls_total", help, &labels)?;
        let help = "Whether the new code was found to run; absent where not known.";
        let labels = ["patch", "object", "function"];
        let effective = self.gauge("lpwatch_function_effective", help, &labels)?;
        let count = |patch: &str, object: &str, function: &str, counted: &Calls| {
            for (code, number) in [("old", counted.old), ("new", counted.new)] {
                calls
                    .with_label_values(&[patch, object, function, code])
                    .inc_by(number);
            }
        };
        for patch in &snapshot.patches {
            for object in &patch.objects {
                for function in &object.functions {
                    let Some(counted) = &function.calls else {
                        continue;
                    };
                    let name = label(function);
                    count(&patch.name, &object.name, &name, counted);
                    if let Some(is_effective) = counted.effective {
                        effective
                            .with_label_values(&[&patch.name, &object.name, &name])
                            .set(flag(is_effective));
                    }
                }
            }
        }
        // Watched ahead of a patch: no patch to name.
        for watched in &snapshot.watched {
            if let Some(counted) = &watched.calls {
                count("", &watched.object, &watched.name, counted);
            }
        }
        Ok(())
    }
}

/// `function`, with its place where there are several of that name.
fn label(function: &Function) -> String {
    match function.sympos {
        0 | 1 => function.name.clone(),
        place => format!("{},{place}", function.name),
    }
}

/// Tasks on old and on new code, as far as known.
fn by_code(transition: &Transition) -> Vec<(&'static str, u32)> {
    let Some(old) = transition.tasks_remaining else {
        return Vec::new();
    };
    let new = transition
        .tasks_total
        .map(|total| total.saturating_sub(old));
    let new = new.map(|new| ("new", new));
    [("old", old)].into_iter().chain(new).collect()
}

fn flag(is_set: bool) -> f64 {
    if is_set { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::table::samples;

    #[test]
    fn a_stalled_transition_is_seen() {
        let text = render(&samples::stalled()).unwrap();
        for line in [
            "lpwatch_transition_stalled{patch=\"lp_stall\"} 1",
            "lpwatch_transition_in_progress{direction=\"patching\",patch=\"lp_stall\"} 1",
            "# TYPE lpwatch_events_lost_total counter",
        ] {
            assert!(text.contains(line), "no {line} in:\n{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let text = render(&samples::snapshot(vec![samples::patch("p")])).unwrap();
        assert!(
            text.contains("lpwatch_patch_enabled{patch=\"p\"} 1"),
            "{text}"
        );
        assert!(!text.contains("lpwatch_function"), "{text}");
        assert!(!text.contains("lpwatch_transition"), "{text}");
    }

    #[test]
    fn odd_names_are_escaped() {
        let text = render(&samples::snapshot(vec![samples::patch("a\"b\nc")])).unwrap();
        assert!(text.contains(r#"patch="a\"b\nc""#), "{text}");
    }
}
