//! The state of each host: a closed set, from what the host reports.
//!
//! Nothing here compares the clocks of two hosts, or a host's clock with ours.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::model::{Direction, Outcome};

use super::facts::{FleetFacts, HostData, HostPatch};

pub use super::facts::Silence;

/// The state of a host for a patch, worst first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
    clap::ValueEnum,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum HostState {
    /// In transition, and no task has switched for too long (60 s, unless the daemon
    /// was given another time).
    Stalled,
    /// The last transition of the patch was reversed, refused or cancelled, and the
    /// patch is not enabled.
    Failed,
    /// No current data is available: its state is unknown.
    NotReporting,
    /// Tasks are switching, to the patch or away from it.
    InTransition,
    /// It reports, and the patch is not loaded or not enabled.
    NotPatched,
    /// The patch is enabled and in no transition.
    OnNewCode,
}

impl HostState {
    /// As in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A host of a fleet, and its state for the patch asked for. Times are by the host's
/// own clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FleetHost {
    /// The label that identifies it (`instance`).
    pub host: String,
    /// Its state.
    pub state: HostState,
    /// The patch that decides its state, of those asked for; `null` if it reports none
    /// of them.
    pub patch: Option<String>,
    /// The release of its kernel (`uname -r`); `null` if it does not report it.
    pub kernel: Option<String>,
    /// Why it does not report; `null` if it does.
    pub silence: Option<Silence>,
    /// The direction of the transition under way; `null` without one.
    pub direction: Option<Direction>,
    /// The outcome of the last transition of the patch; `null` if it reports none.
    pub outcome: Option<Outcome>,
    /// All tasks in the transition under way; `null` without one, or if unknown.
    pub tasks_total: Option<u64>,
    /// The tasks that have not switched; `null` without a transition, or if unknown.
    pub tasks_remaining: Option<u64>,
    /// How long no task has switched, in seconds; `null` without a transition, or if
    /// unknown.
    pub seconds_without_progress: Option<f64>,
    /// How long ago the transition began, in seconds; `null` without one, or if
    /// unknown.
    pub age_seconds: Option<f64>,
    /// The tasks left by reason, most first.
    pub reasons: Vec<ReasonTasks>,
    /// How long the last completed patching took, in seconds; `null` if unknown.
    pub duration_seconds: Option<f64>,
    /// Whether functions were found whose new code does not run; `null` if the host
    /// does not report it, or Prometheus was not asked for it.
    pub not_effective: Option<bool>,
}

/// The tasks left for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReasonTasks {
    /// A [Reason](#reason), or `unknown`.
    pub reason: String,
    /// The number of tasks.
    pub tasks: u64,
}

/// All hosts, by name. Only patches that `wanted` accepts count. Of several, a
/// transition decides before a patch at rest, and of patches at rest the one
/// with the latest transition.
#[must_use]
pub fn hosts(facts: &FleetFacts, wanted: impl Fn(&str) -> bool) -> Vec<FleetHost> {
    let of_host = |(name, seen): (&String, &HostData)| {
        let patches = seen.patches.iter();
        let standing = patches
            .filter(|(patch, _)| wanted(patch))
            .map(|(patch, on_host)| RankedPatch::of(patch, on_host))
            .max_by(RankedPatch::order);
        host(name, seen, standing, facts.asked_effect)
    };
    facts.hosts.iter().map(of_host).collect()
}

fn host(
    name: &str,
    seen: &HostData,
    standing: Option<RankedPatch<'_>>,
    asked_effect: bool,
) -> FleetHost {
    let silence = silence(seen);
    // What a host reported before it fell silent may no longer hold.
    let standing = standing.filter(|_| silence.is_none());
    let state = match (silence, &standing) {
        (Some(_), _) => HostState::NotReporting,
        (None, Some(standing)) => standing.state,
        (None, None) => HostState::NotPatched,
    };
    let on_host = standing.as_ref().map(|standing| standing.on_host);
    let moving = on_host.filter(|on_host| on_host.in_progress);
    FleetHost {
        host: name.to_owned(),
        state,
        patch: standing.as_ref().map(|standing| standing.patch.to_owned()),
        kernel: seen.kernel.clone(),
        silence,
        direction: moving.and_then(|on_host| on_host.direction),
        outcome: on_host.and_then(|on_host| on_host.last?.outcome),
        tasks_total: moving.and_then(|on_host| Some(on_host.old? + on_host.new?)),
        tasks_remaining: moving.and_then(|on_host| on_host.old),
        seconds_without_progress: moving.and_then(|on_host| on_host.idle),
        age_seconds: moving.and_then(|on_host| on_host.age),
        reasons: moving.map(reasons).unwrap_or_default(),
        duration_seconds: on_host.and_then(|on_host| on_host.duration),
        not_effective: (asked_effect && silence.is_none())
            .then(|| on_host.is_some_and(|on_host| on_host.ineffective)),
    }
}

fn silence(seen: &HostData) -> Option<Silence> {
    let is = |silence: &Silence| seen.silences.contains(silence);
    if seen.up == Some(false) {
        Some(Silence::Down)
    } else if is(&Silence::Gone) || is(&Silence::Broken) {
        seen.silences.first().copied()
    } else if !seen.answers {
        Some(Silence::NoMetrics)
    } else {
        seen.silences.first().copied()
    }
}

fn reasons(on_host: &HostPatch) -> Vec<ReasonTasks> {
    let mut reasons: Vec<_> = on_host
        .blocked
        .iter()
        .map(|(reason, &tasks)| ReasonTasks {
            reason: reason.clone(),
            tasks,
        })
        .filter(|of| of.tasks > 0)
        .collect();
    reasons.sort_by(|a, b| b.tasks.cmp(&a.tasks).then_with(|| a.reason.cmp(&b.reason)));
    reasons
}

/// The state of one patch on a host that reports.
struct RankedPatch<'a> {
    patch: &'a str,
    on_host: &'a HostPatch,
    state: HostState,
}

impl<'a> RankedPatch<'a> {
    fn of(patch: &'a str, on_host: &'a HostPatch) -> Self {
        let failed =
            on_host
                .last
                .and_then(|last| last.outcome)
                .is_some_and(|outcome| match outcome {
                    Outcome::Reversed | Outcome::Refused | Outcome::Cancelled => true,
                    Outcome::Completed | Outcome::Forced | Outcome::Unknown => false,
                });
        let state = match on_host {
            HostPatch {
                in_progress: true,
                stalled: true,
                ..
            } => HostState::Stalled,
            HostPatch {
                in_progress: true, ..
            } => HostState::InTransition,
            HostPatch {
                enabled: Some(true),
                ..
            } => HostState::OnNewCode,
            _ if failed => HostState::Failed,
            _ => HostState::NotPatched,
        };
        Self {
            patch,
            on_host,
            state,
        }
    }

    /// The greatest decides.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |standing: &Self| match standing.state {
            HostState::Stalled => 3,
            HostState::InTransition => 2,
            HostState::OnNewCode | HostState::Failed => 1,
            HostState::NotPatched | HostState::NotReporting => 0,
        };
        // Both ends are of the same clock. If one is unknown, the failure
        // counts, so that a failure is never hidden.
        let end = |standing: &Self| standing.on_host.last.map(|last| last.end);
        let failed = |standing: &Self| standing.state == HostState::Failed;
        let by_end = match (end(self), end(other)) {
            (Some(own), Some(others)) => own.total_cmp(&others),
            _ => std::cmp::Ordering::Equal,
        };
        rank(self)
            .cmp(&rank(other))
            .then(by_end)
            .then(failed(self).cmp(&failed(other)))
    }
}

#[cfg(test)]
mod tests;
