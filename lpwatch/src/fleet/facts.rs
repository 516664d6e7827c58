//! The answers put together by host, before anything is made of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Direction, Outcome};

use super::{prometheus::Sample, queries::Fact};

/// All that is known of the hosts.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub(super) hosts: BTreeMap<String, Seen>,
    /// Series that name no host.
    pub(super) nameless: usize,
    /// Hosts of which there are several series.
    pub(super) twice: BTreeSet<String>,
}

/// What is known of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Whether it could be scraped.
    pub up: Option<bool>,
    /// lpwatch answered there.
    pub answers: bool,
    pub kernel: Option<String>,
    /// What else makes that nothing is known of it.
    pub silences: BTreeSet<Silence>,
    pub patches: BTreeMap<String, OnHost>,
}

/// Why nothing is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// Prometheus cannot scrape it.
    Down,
    /// Prometheus no longer tries, or has not for five minutes.
    Gone,
    /// It can be scraped, but what answers is not lpwatch.
    NoMetrics,
    /// lpwatch cannot read the state of patches there.
    Blind,
    /// It gives values that lpwatch does not write.
    Broken,
}

/// What is known of a patch on a host.
#[derive(Clone, Debug, Default)]
pub(super) struct OnHost {
    pub enabled: Option<bool>,
    pub in_progress: bool,
    pub direction: Option<Direction>,
    pub stalled: bool,
    pub old: Option<u64>,
    pub new: Option<u64>,
    pub blocked: BTreeMap<String, u64>,
    pub idle: Option<f64>,
    pub age: Option<f64>,
    pub last: Option<Last>,
    /// How long patching took when it last completed.
    pub duration: Option<f64>,
    pub ineffective: bool,
}

/// The last transition that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Last {
    pub outcome: Option<Outcome>,
    /// By the host's own clock: only good for comparing within the host.
    pub end: f64,
}

impl Facts {
    /// Takes in the answer about one fact.
    pub fn take(&mut self, fact: Fact, samples: &[Sample], host_label: &str) {
        for sample in samples {
            let Some(host) = sample.label(host_label) else {
                self.nameless += 1;
                continue;
            };
            if fact == Fact::Twice {
                self.twice.insert(host.to_owned());
                continue;
            }
            if !self.hosts.contains_key(host) {
                self.hosts.insert(host.to_owned(), Seen::default());
            }
            if let Some(seen) = self.hosts.get_mut(host) {
                seen.take(fact, sample);
            }
        }
    }

    /// The hosts, however they stand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// A host that was known and of which Prometheus now knows nothing.
    pub fn note_gone(&mut self, host: &str) {
        let seen = self.hosts.entry(host.to_owned()).or_default();
        seen.silences.insert(Silence::Gone);
    }

    /// Every patch that any host speaks of.
    #[must_use]
    pub fn patches(&self) -> BTreeSet<&str> {
        let patches = self.hosts.values().flat_map(|seen| seen.patches.keys());
        patches.map(String::as_str).collect()
    }

    /// What must be said of the answers themselves, one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.nameless > 0 {
            notes.push(format!(
                "{} series name no host and are not counted; --host-label names the label that does.",
                self.nameless
            ));
        }
        if let Some(host) = self.twice.first() {
            notes.push(format!(
                "{} hosts have several series and count once each, such as {host}: a pair of \
                 Prometheus servers, or hosts of the same name (see --host-label and --selector).",
                self.twice.len()
            ));
        }
        let mut broken = self
            .hosts
            .iter()
            .filter(|(_, seen)| seen.silences.contains(&Silence::Broken));
        if let Some((host, _)) = broken.next() {
            notes.push(format!(
                "{} hosts give values that are no numbers lpwatch writes, such as {host}; they \
                 count as not reporting.",
                broken.count() + 1
            ));
        }
        notes
    }
}

impl Seen {
    fn take(&mut self, fact: Fact, sample: &Sample) {
        let value = sample.value;
        if !value.is_finite() {
            self.silences.insert(Silence::Broken);
            return;
        }
        match fact {
            Fact::Up => self.up = Some(value > 0.0),
            Fact::Gone => drop(self.silences.insert(Silence::Gone)),
            Fact::Kernel => {
                self.answers = true;
                self.kernel = sample.label("kernel").map(str::to_owned);
            }
            Fact::Blind => drop(self.silences.insert(Silence::Blind)),
            Fact::Twice => (),
            Fact::Enabled
            | Fact::InProgress
            | Fact::Stalled
            | Fact::Tasks
            | Fact::Blocked
            | Fact::Idle
            | Fact::Age
            | Fact::LastEnd
            | Fact::LastDuration
            | Fact::Ineffective => {
                let Some(patch) = sample.label("patch") else {
                    return;
                };
                if !self.patches.contains_key(patch) {
                    self.patches.insert(patch.to_owned(), OnHost::default());
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

impl OnHost {
    /// `None` for a value that lpwatch does not write.
    fn take(&mut self, fact: Fact, sample: &Sample) -> Option<()> {
        let value = sample.value;
        let seconds = (value >= 0.0).then_some(value);
        match fact {
            Fact::Enabled => self.enabled = Some(value > 0.0),
            Fact::InProgress => {
                self.in_progress = true;
                self.direction = sample.label("direction").and_then(direction);
            }
            Fact::Stalled => self.stalled = true,
            Fact::Tasks => match sample.label("code") {
                Some("old") => self.old = Some(count(value)?),
                Some("new") => self.new = Some(count(value)?),
                _ => (),
            },
            Fact::Blocked => {
                let reason = sample.label("reason").unwrap_or("unknown");
                self.blocked.insert(reason.to_owned(), count(value)?);
            }
            Fact::Idle => self.idle = Some(seconds?),
            Fact::Age => self.age = Some(seconds?),
            Fact::LastEnd => {
                // Of several, as between two scrapes of a pair, the later.
                if self.last.is_none_or(|last| last.end < value) {
                    self.last = Some(Last {
                        outcome: sample.label("outcome").and_then(outcome),
                        end: value,
                    });
                }
            }
            Fact::LastDuration => {
                let way = sample.label("direction").and_then(direction);
                let outcome = sample.label("outcome").and_then(outcome);
                if (way, outcome) == (Some(Direction::Patching), Some(Outcome::Completed)) {
                    self.duration = Some(seconds?);
                }
            }
            Fact::Ineffective => self.ineffective = true,
            Fact::Up | Fact::Gone | Fact::Kernel | Fact::Blind | Fact::Twice => (),
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
    /// No kernel has as many.
    const MOST: f64 = 1e9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and a billion"
    )]
    (0.0..=MOST).contains(&value).then_some(value as u64)
}
