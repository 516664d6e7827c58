//! The queries: one for all hosts, never one per host.
//!
//! Each is aggregated by the host's label, so that a response contains no more
//! than it must, and the copies of each series that a pair of Prometheus
//! servers makes count once.

use std::time::Duration;

use strum::VariantArray;

use super::selector::{PatchPattern, Selector};

/// Which hosts and patches are asked about.
#[derive(Clone, Debug)]
pub struct Scope {
    pub selector: Selector,
    /// All patches, without one.
    pub patch: Option<PatchPattern>,
    /// The label that identifies hosts: `instance`.
    pub host_label: String,
    /// How long a host that is no longer scraped counts as known.
    pub known_for: Duration,
}

/// A query about all hosts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum FleetQuery {
    /// Whether Prometheus could scrape the host.
    Up,
    /// The host was scraped, and no longer is.
    Gone,
    /// lpwatch reports there, on this kernel.
    Kernel,
    /// lpwatch cannot read the state of patches there.
    Blind,
    /// One host has several series.
    Twice,
    Enabled,
    InProgress,
    Stalled,
    Tasks,
    Blocked,
    Idle,
    Age,
    /// The end of its last transition, by outcome.
    LastEnd,
    LastDuration,
    /// Patched functions whose new code was found not to run.
    Ineffective,
}

impl FleetQuery {
    /// The queries that decide the state of a host.
    pub const STATES: [Self; 10] = [
        Self::Up,
        Self::Gone,
        Self::Kernel,
        Self::Blind,
        Self::Enabled,
        Self::InProgress,
        Self::Stalled,
        Self::Tasks,
        Self::Blocked,
        Self::LastEnd,
    ];

    /// The query in PromQL.
    #[must_use]
    pub fn query(self, scope: &Scope) -> String {
        let Scope {
            selector,
            patch,
            host_label: host,
            known_for,
        } = scope;
        let hosts = selector.matchers();
        let known = known_for.as_secs().max(1);
        let of_patch = patch
            .as_ref()
            .map_or_else(|| "patch!=\"\"".to_owned(), PatchPattern::matcher);
        let comma = if hosts.is_empty() { "" } else { "," };
        let both = format!("{hosts}{comma}{of_patch}");
        let max = |labels: &str, metric: &str| {
            format!("max by ({host}, patch{labels}) (lpwatch_{metric}{{{both}}})")
        };
        match self {
            Self::Up => format!("max by ({host}) (up{{{hosts}}})"),
            Self::Gone => format!(
                "max by ({host}) (last_over_time(up{{{hosts}}}[{known}s])) \
                 unless max by ({host}) (up{{{hosts}}})"
            ),
            Self::Kernel => format!("max by ({host}, kernel) (lpwatch_host_info{{{hosts}}})"),
            Self::Blind => format!(
                "max by ({host}) \
                 (lpwatch_collector_success{{{hosts}{comma}collector=\"sysfs\"}}) == 0"
            ),
            Self::Twice => format!("count by ({host}) (up{{{hosts}}}) > 1"),
            Self::Enabled => max("", "patch_enabled"),
            Self::InProgress => max(", direction", "transition_in_progress") + " == 1",
            Self::Stalled => max("", "transition_stalled") + " == 1",
            Self::Tasks => max(", code", "transition_tasks"),
            Self::Blocked => max(", reason", "transition_blocked_tasks"),
            Self::Idle => max("", "transition_seconds_without_progress"),
            Self::Age => max("", "transition_age_seconds"),
            Self::LastEnd => max(
                ", direction, outcome",
                "last_transition_end_timestamp_seconds",
            ),
            Self::LastDuration => max(", direction, outcome", "last_transition_duration_seconds"),
            Self::Ineffective => {
                format!("count by ({host}, patch) (lpwatch_function_effective{{{both}}} == 0)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(patch: Option<&str>, selector: &str) -> Scope {
        Scope {
            selector: selector.parse().unwrap(),
            patch: patch.map(|patch| patch.parse().unwrap()),
            host_label: "instance".to_owned(),
            known_for: Duration::from_hours(1),
        }
    }

    #[test]
    fn hosts_and_patch_are_chosen() {
        let scope = scope(Some("lp"), "{job=\"lpwatch\",dc=\"x\"}");
        assert_eq!(
            FleetQuery::Tasks.query(&scope),
            "max by (instance, patch, code) \
             (lpwatch_transition_tasks{job=\"lpwatch\",dc=\"x\",patch=\"lp\"})"
        );
        assert_eq!(
            FleetQuery::Gone.query(&scope),
            "max by (instance) (last_over_time(up{job=\"lpwatch\",dc=\"x\"}[3600s])) \
             unless max by (instance) (up{job=\"lpwatch\",dc=\"x\"})"
        );
    }

    #[test]
    fn nothing_chosen_is_everything() {
        let scope = scope(None, "");
        assert_eq!(
            FleetQuery::Enabled.query(&scope),
            "max by (instance, patch) (lpwatch_patch_enabled{patch!=\"\"})"
        );
        assert_eq!(
            FleetQuery::Blind.query(&scope),
            "max by (instance) (lpwatch_collector_success{collector=\"sysfs\"}) == 0"
        );
    }
}
