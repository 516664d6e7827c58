//! Metrics of the transition under way, and of the last of each patch.

use std::collections::BTreeSet;

use crate::model::{
    Phase,
    snapshot::{PastTransition, Patch, Transition},
};

use super::{Metrics, MetricsResult, flag, totals::direction_name};

impl Metrics {
    pub(super) fn transitions(&self, patches: &[Patch]) -> MetricsResult {
        let under_way = || {
            patches.iter().filter_map(
                |Patch {
                     name, transition, ..
                 }| { Some((name.as_str(), transition.as_ref()?)) },
            )
        };
        self.progress(under_way())?;
        self.tasks(under_way())?;
        self.times(under_way())
    }

    fn progress<'a>(
        &self,
        under_way: impl Iterator<Item = (&'a str, &'a Transition)>,
    ) -> MetricsResult {
        let help = "A transition is under way in this direction; absent otherwise.";
        let labels = ["patch", "direction"];
        let progress = self.gauge("lpwatch_transition_in_progress", help, &labels)?;
        let help = "Whether no task has switched for the time that counts as stalled: 1 or 0.";
        let stalled = self.gauge("lpwatch_transition_stalled", help, &["patch"])?;
        let help = "The transition waits for this and not for a task; absent otherwise.";
        let labels = ["patch", "reason"];
        let waits = self.gauge("lpwatch_transition_waits", help, &labels)?;
        for (name, transition) in under_way {
            if let Some(wait) = &transition.waits_for {
                waits
                    .with_label_values(&[name, wait.reason.name()])
                    .set(1.0);
            }
            progress
                .with_label_values(&[name, transition.direction.name()])
                .set(1.0);
            if let Some(phase) = transition.phase {
                let is_stalled = phase == Phase::Stalled;
                stalled.with_label_values(&[name]).set(flag(is_stalled));
            }
        }
        Ok(())
    }

    fn tasks<'a>(
        &self,
        under_way: impl Iterator<Item = (&'a str, &'a Transition)>,
    ) -> MetricsResult {
        let help = "Tasks in the transition, by the code they run.";
        let tasks = self.gauge("lpwatch_transition_tasks", help, &["patch", "code"])?;
        let help = "Tasks that have not switched, by reason.";
        let labels = ["patch", "reason"];
        let blocked = self.gauge("lpwatch_transition_blocked_tasks", help, &labels)?;
        for (name, transition) in under_way {
            for (code, number) in by_code(transition) {
                tasks
                    .with_label_values(&[name, code])
                    .set(f64::from(number));
            }
            for blocker in &transition.blockers {
                let reason = blocker.reason.map_or("unknown", |reason| reason.name());
                blocked.with_label_values(&[name, reason]).inc();
            }
        }
        Ok(())
    }

    fn times<'a>(
        &self,
        under_way: impl Iterator<Item = (&'a str, &'a Transition)>,
    ) -> MetricsResult {
        let help = "When the transition began, in seconds since the epoch.";
        let name = "lpwatch_transition_start_timestamp_seconds";
        let began = self.gauge(name, help, &["patch"])?;
        let help = "The transition's age in seconds, by the host's own clock.";
        let age = self.gauge("lpwatch_transition_age_seconds", help, &["patch"])?;
        let help = "Seconds since a task was last seen to switch, by the host's own clock.";
        let name = "lpwatch_transition_seconds_without_progress";
        let without_progress = self.gauge(name, help, &["patch"])?;
        for (name, transition) in under_way {
            let started = transition.started_at;
            for (gauge, seconds) in [
                (&began, started.map(|at| at.as_duration().as_secs_f64())),
                (&age, transition.age_seconds),
                (&without_progress, transition.seconds_without_progress),
            ] {
                if let Some(seconds) = seconds {
                    gauge.with_label_values(&[name]).set(seconds);
                }
            }
        }
        Ok(())
    }

    /// The latest transition of each patch; `past` is newest first.
    pub(super) fn past(&self, past: &[PastTransition]) -> MetricsResult {
        let labels = ["patch", "direction", "outcome"];
        let help = "How long the last transition of the patch took, in seconds.";
        let name = "lpwatch_last_transition_duration_seconds";
        let duration = self.gauge(name, help, &labels)?;
        let help = "When the last transition of the patch ended, in seconds since the epoch.";
        let name = "lpwatch_last_transition_end_timestamp_seconds";
        let ended = self.gauge(name, help, &labels)?;
        let mut seen = BTreeSet::new();
        for past in past {
            // A transition known only from the kernel log may lack the patch's
            // name.
            let Some(patch) = past.patch.as_deref().filter(|patch| seen.insert(*patch)) else {
                continue;
            };
            let labels = [patch, direction_name(past.direction), past.outcome.name()];
            ended
                .with_label_values(&labels)
                .set(past.ended_at.as_duration().as_secs_f64());
            if let Some(seconds) = past.duration_seconds {
                duration.with_label_values(&labels).set(seconds);
            }
        }
        Ok(())
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
