//! The results of the queries, joined by host and not yet judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Direction, Outcome};

use super::{prometheus::Sample, queries::FleetQuery};

/// All that is known of the hosts.
#[derive(Clone, Debug, Default)]
pub struct FleetFacts {
    pub(super) hosts: BTreeMap<String, HostData>,
    /// Series without the label of the host.
    pub(super) nameless: usize,
    /// Hosts with several series.
    pub(super) twice: BTreeSet<String>,
    /// Whether Prometheus was asked for functions whose new code does not run.
    pub(super) asked_effect: bool,
}

/// What is known of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostData {
    /// Whether it could be scraped.
    pub up: Option<bool>,
    /// lpwatch answered there.
    pub answers: bool,
    pub kernel: Option<String>,
    /// Other reasons why no data is available.
    pub silences: BTreeSet<Silence>,
    pub patches: BTreeMap<String, HostPatch>,
}

/// Why the state of a host is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// Prometheus cannot scrape it: `up` is 0.
    Down,
    /// Prometheus no longer scrapes it, or has not for five minutes.
    Gone,
    /// Prometheus can scrape it, but the metrics are not lpwatch's.
    NoMetrics,
    /// lpwatch reports that it cannot read the state of patches there.
    Blind,
    /// It reports values that lpwatch never writes, for example NaN.
    Broken,
}

/// What is known of a patch on a host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostPatch {
    pub enabled: Option<bool>,
    pub in_progress: bool,
    pub direction: Option<Direction>,
    pub stalled: bool,
    pub old: Option<u64>,
    pub new: Option<u64>,
    pub blocked: BTreeMap<String, u64>,
    pub idle: Option<f64>,
    pub age: Option<f64>,
    pub last: Option<LastTransition>,
    /// How long patching took when it last completed.
    pub duration: Option<f64>,
    pub ineffective: bool,
}

/// The last transition that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastTransition {
    pub outcome: Option<Outcome>,
    /// By the host's own clock: comparable within the host only.
    pub end: f64,
}

impl FleetFacts {
    /// Adds the result of one query.
    pub fn take(&mut self, fact: FleetQuery, samples: &[Sample], host_label: &str) {
        self.asked_effect |= fact == FleetQuery::Ineffective;
        for sample in samples {
            let Some(host) = sample.label(host_label) else {
                self.nameless += 1;
                continue;
            };
            if fact == FleetQuery::Twice {
                self.twice.insert(host.to_owned());
                continue;
            }
            if !self.hosts.contains_key(host) {
                self.hosts.insert(host.to_owned(), HostData::default());
            }
            if let Some(seen) = self.hosts.get_mut(host) {
                seen.take(fact, sample);
            }
        }
    }

    /// All hosts, in any state.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Marks a known host that is no longer known to Prometheus.
    pub fn note_gone(&mut self, host: &str) {
        let seen = self.hosts.entry(host.to_owned()).or_default();
        seen.silences.insert(Silence::Gone);
    }

    /// Every patch that any host reports.
    #[must_use]
    pub fn patches(&self) -> BTreeSet<&str> {
        let patches = self.hosts.values().flat_map(|seen| seen.patches.keys());
        patches.map(String::as_str).collect()
    }

    /// Notes on the results themselves, one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.nameless > 0 {
            notes.push(format!(
                "{} series name no host and are not counted. Give the label of the host with --host-label.",
                self.nameless
            ));
        }
        if let Some(host) = self.twice.first() {
            notes.push(format!(
                "{} hosts have several series and count once each, such as {host}. The cause is a \
                 pair of Prometheus servers, or hosts of the same name (see --host-label and --selector).",
                self.twice.len()
            ));
        }
        let mut broken = self
            .hosts
            .iter()
            .filter(|(_, seen)| seen.silences.contains(&Silence::Broken));
        if let Some((host, _)) = broken.next() {
            notes.push(format!(
                "{} hosts report values that lpwatch never writes, such as {host}; they count as not \
                 reporting.",
                broken.count() + 1
            ));
        }
        notes
    }
}

impl HostData {
    fn take(&mut self, fact: FleetQuery, sample: &Sample) {
        let value = sample.value;
        if !value.is_finite() {
            self.silences.insert(Silence::Broken);
            return;
        }
        match fact {
            FleetQuery::Up => self.up = Some(value > 0.0),
            FleetQuery::Gone => drop(self.silences.insert(Silence::Gone)),
            FleetQuery::Kernel => {
                self.answers = true;
                self.kernel = sample.label("kernel").map(str::to_owned);
            }
            FleetQuery::Blind => drop(self.silences.insert(Silence::Blind)),
            FleetQuery::Twice => (),
            FleetQuery::Enabled
            | FleetQuery::InProgress
            | FleetQuery::Stalled
            | FleetQuery::Tasks
            | FleetQuery::Blocked
            | FleetQuery::Idle
            | FleetQuery::Age
            | FleetQuery::LastEnd
            | FleetQuery::LastDuration
            | FleetQuery::Ineffective => {
                let Some(patch) = sample.label("patch") else {
                    return;
                };
                if !self.patches.contains_key(patch) {
                    self.patches.insert(patch.to_owned(), HostPatch::default());
                }
                if let Some(on_host) = self.patches.get_mut(patch)
                    && on_host.take(fact, sample).is_none()
                {
                    self.silences.insert(Silence::Broken);
                }
            }
        }
    }
}

impl HostPatch {
    /// `None` for a value that lpwatch never writes.
    fn take(&mut self, fact: FleetQuery, sample: &Sample) -> Option<()> {
        let value = sample.value;
        let seconds = (value >= 0.0).then_some(value);
        match fact {
            FleetQuery::Enabled => self.enabled = Some(value > 0.0),
            FleetQuery::InProgress => {
                self.in_progress = true;
                self.direction = sample.label("direction").and_then(direction);
            }
            FleetQuery::Stalled => self.stalled = true,
            FleetQuery::Tasks => match sample.label("code") {
                Some("old") => self.old = Some(count(value)?),
                Some("new") => self.new = Some(count(value)?),
                _ => (),
            },
            FleetQuery::Blocked => {
                let reason = sample.label("reason").unwrap_or("unknown");
                self.blocked.insert(reason.to_owned(), count(value)?);
            }
            FleetQuery::Idle => self.idle = Some(seconds?),
            FleetQuery::Age => self.age = Some(seconds?),
            FleetQuery::LastEnd => {
                // Of several values, as between two scrapes of a pair, the
                // later one.
                if self.last.is_none_or(|last| last.end < value) {
                    self.last = Some(LastTransition {
                        outcome: sample.label("outcome").and_then(outcome),
                        end: value,
                    });
                }
            }
            FleetQuery::LastDuration => {
                let way = sample.label("direction").and_then(direction);
                let outcome = sample.label("outcome").and_then(outcome);
                if (way, outcome) == (Some(Direction::Patching), Some(Outcome::Completed)) {
                    self.duration = Some(seconds?);
                }
            }
            FleetQuery::Ineffective => self.ineffective = true,
            FleetQuery::Up
            | FleetQuery::Gone
            | FleetQuery::Kernel
            | FleetQuery::Blind
            | FleetQuery::Twice => (),
        }
        Some(())
    }
}

fn direction(name: &str) -> Option<Direction> {
    [Direction::Patching, Direction::Unpatching]
        .into_iter()
        .find(|direction| direction.name() == name)
}

fn outcome(name: &str) -> Option<Outcome> {
    Some(match name {
        "completed" => Outcome::Completed,
        "reversed" => Outcome::Reversed,
        "forced" => Outcome::Forced,
        "cancelled" => Outcome::Cancelled,
        "refused" => Outcome::Refused,
        "unknown" => Outcome::Unknown,
        _ => return None,
    })
}

/// A number of tasks.
fn count(value: f64) -> Option<u64> {
    /// No kernel has this many.
    const MOST: f64 = 1e9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and a billion"
    )]
    (0.0..=MOST).contains(&value).then_some(value as u64)
}
