//! A rollout as a whole, from its hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    durations::Durations,
    hosts::{FleetHost, HostState},
};

/// A patch over all known hosts. Hosts that do not report count like the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rollout {
    /// The patch as given: a name, or a pattern with `*`.
    pub patch: String,
    /// All known hosts.
    #[serde(rename = "host_count")]
    pub hosts: usize,
    /// How many hosts are in each state; the sum is `host_count`.
    pub by_state: ByState,
    /// The share of hosts on new code, from 0 to 1; `null` without hosts.
    pub share_on_new_code: Option<f64>,
    /// How many hosts are disabling the patch, stalled ones included.
    pub unpatching: usize,
    /// Hosts on new code with functions whose new code does not run; `null` if that is
    /// unknown of any.
    pub not_effective: Option<Vec<String>>,
    /// The stalled hosts by the reason of their tasks; a host counts once for each of
    /// its reasons.
    pub stalled_by_reason: Vec<ReasonHosts>,
    /// The stalled hosts, first those in which no task has switched for longest.
    pub stalled: Vec<FleetHost>,
    /// The failed hosts.
    pub failed: Vec<FleetHost>,
    /// The hosts that do not report.
    pub not_reporting: Vec<FleetHost>,
    /// How long patching took.
    pub durations: Durations,
}

/// How many hosts are in each [state](#hoststate).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ByState {
    /// The patch is enabled and in no transition.
    pub on_new_code: usize,
    /// Tasks are switching.
    pub in_transition: usize,
    /// In transition, and no task has switched for too long.
    pub stalled: usize,
    /// The last transition failed, and the patch is not enabled.
    pub failed: usize,
    /// They report, and the patch is not loaded or not enabled.
    pub not_patched: usize,
    /// Their state is unknown now.
    pub not_reporting: usize,
}

/// The stalled hosts with tasks left for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReasonHosts {
    /// A [Reason](#reason), or `unknown` where a host reports none.
    pub reason: String,
    /// The number of hosts.
    #[serde(rename = "host_count")]
    pub hosts: usize,
    /// The number of tasks left on them for this reason.
    pub tasks: u64,
}

impl ByState {
    #[must_use]
    pub fn of(hosts: &[FleetHost]) -> Self {
        let mut by_state = Self::default();
        for host in hosts {
            *by_state.slot(host.state) += 1;
        }
        by_state
    }

    #[must_use]
    pub fn get(mut self, state: HostState) -> usize {
        *self.slot(state)
    }

    fn slot(&mut self, state: HostState) -> &mut usize {
        match state {
            HostState::OnNewCode => &mut self.on_new_code,
            HostState::InTransition => &mut self.in_transition,
            HostState::Stalled => &mut self.stalled,
            HostState::Failed => &mut self.failed,
            HostState::NotPatched => &mut self.not_patched,
            HostState::NotReporting => &mut self.not_reporting,
        }
    }
}

/// The hosts on new code where some of it does not run; `None` if that is unknown of
/// any.
fn not_effective(hosts: &[FleetHost]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let on_new_code = hosts
        .iter()
        .filter(|host| host.state == HostState::OnNewCode);
    for host in on_new_code {
        if host.not_effective? {
            names.push(host.host.clone());
        }
    }
    Some(names)
}

impl Rollout {
    /// Sums up `hosts`.
    #[must_use]
    pub fn of(patch: &str, hosts: &[FleetHost]) -> Self {
        let by_state = ByState::of(hosts);
        let in_state = |state| {
            let of_state = hosts.iter().filter(move |host| host.state == state);
            of_state.cloned().collect::<Vec<_>>()
        };
        let mut stalled = in_state(HostState::Stalled);
        stalled.sort_by(longest_first);
        Self {
            patch: patch.to_owned(),
            hosts: hosts.len(),
            by_state,
            share_on_new_code: share(by_state.on_new_code, hosts.len()),
            unpatching: hosts
                .iter()
                .filter(|host| host.direction == Some(crate::model::Direction::Unpatching))
                .count(),
            not_effective: not_effective(hosts),
            stalled_by_reason: by_reason(&stalled),
            stalled,
            failed: in_state(HostState::Failed),
            not_reporting: in_state(HostState::NotReporting),
            durations: Durations::of(hosts),
        }
    }
}

/// Those first that are unchanged for longest, by their own clocks.
fn longest_first(a: &FleetHost, b: &FleetHost) -> std::cmp::Ordering {
    let idle = |host: &FleetHost| host.seconds_without_progress.or(host.age_seconds);
    let idle = |host| idle(host).unwrap_or(-1.0);
    idle(b)
        .total_cmp(&idle(a))
        .then_with(|| a.host.cmp(&b.host))
}

/// A share from 0 to 1.
#[must_use]
pub fn share(part: usize, whole: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^52 hosts")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn by_reason(stalled: &[FleetHost]) -> Vec<ReasonHosts> {
    let mut sums: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for host in stalled {
        if host.reasons.is_empty() {
            sums.entry("unknown").or_default().0 += 1;
        }
        for of in &host.reasons {
            let (hosts, tasks) = sums.entry(&of.reason).or_default();
            *hosts += 1;
            *tasks += of.tasks;
        }
    }
    let mut reasons: Vec<_> = sums
        .into_iter()
        .map(|(reason, (hosts, tasks))| ReasonHosts {
            reason: reason.to_owned(),
            hosts,
            tasks,
        })
        .collect();
    // The sort is stable: equal ones stay in the order of their names.
    reasons.sort_by_key(|of| std::cmp::Reverse(of.hosts));
    reasons
}

#[cfg(test)]
pub(crate) mod tests {
    use strum::VariantArray as _;

    use super::*;

    pub(crate) fn host(nth: usize, state: HostState) -> FleetHost {
        FleetHost {
            host: format!("host-{nth:04}"),
            state,
            patch: Some("lp_x".to_owned()),
            kernel: Some("6.1.0-44".to_owned()),
            silence: None,
            direction: None,
            outcome: None,
            tasks_total: None,
            tasks_remaining: None,
            seconds_without_progress: None,
            age_seconds: None,
            reasons: Vec::new(),
            duration_seconds: None,
            not_effective: Some(false),
        }
    }

    /// This many hosts in each state.
    pub(crate) fn fleet(counts: &[(HostState, usize)]) -> Vec<FleetHost> {
        let states = counts
            .iter()
            .flat_map(|&(state, count)| std::iter::repeat_n(state, count));
        states
            .enumerate()
            .map(|(nth, state)| host(nth, state))
            .collect()
    }

    #[test]
    fn every_host_counts_also_those_that_are_silent() {
        let hosts = fleet(&[
            (HostState::OnNewCode, 3),
            (HostState::NotReporting, 1),
            (HostState::Stalled, 1),
            (HostState::NotPatched, 1),
        ]);
        let rollout = Rollout::of("lp_x", &hosts);
        assert_eq!(rollout.share_on_new_code, Some(0.5));
        let sum: usize = HostState::VARIANTS
            .iter()
            .map(|&state| rollout.by_state.get(state))
            .sum();
        assert_eq!((sum, rollout.hosts), (6, 6));
        assert_eq!(rollout.stalled_by_reason[0].reason, "unknown");
        assert_eq!(Rollout::of("lp_x", &[]).share_on_new_code, None);
    }

    #[test]
    fn kernels_and_reasons_are_distinguished() {
        let mut hosts = fleet(&[(HostState::OnNewCode, 3), (HostState::Stalled, 2)]);
        for (host, seconds) in hosts.iter_mut().zip([1.0, 2.0, 3.0]) {
            host.duration_seconds = Some(seconds);
        }
        hosts[0].kernel = None;
        hosts[1].not_effective = Some(true);
        for (host, idle) in hosts[3..].iter_mut().zip([70.0, 90.0]) {
            host.seconds_without_progress = Some(idle);
            host.reasons = vec![super::super::hosts::ReasonTasks {
                reason: "running".to_owned(),
                tasks: 2,
            }];
        }
        let rollout = Rollout::of("lp_x", &hosts);
        assert_eq!(rollout.durations.all.unwrap().hosts, 3);
        assert_eq!(rollout.durations.by_kernel[0].quantiles.hosts, 2);
        assert_eq!(rollout.durations.by_kernel[1].kernel, None);
        assert_eq!(rollout.stalled[0].host, "host-0004");
        assert_eq!(rollout.not_effective.unwrap(), ["host-0001"]);
        hosts[2].not_effective = None;
        assert_eq!(Rollout::of("p", &hosts).not_effective, None);
        let reason = &rollout.stalled_by_reason[0];
        assert_eq!(
            (reason.reason.as_str(), reason.hosts, reason.tasks),
            ("running", 2, 4)
        );
    }
}
