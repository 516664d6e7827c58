//! The one value everything is rendered from: table, JSON, metrics, page.
//!
//! The JSON form is a contract: fields are only added, and `schema_version`
//! changes when one changes its meaning. What is not known is `null`, not 0.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

pub use super::calls::figures::{Calls, Finding, FindingKind, PhaseCalls, Rate, Severity, Watched};
pub use super::view::SwitchedBy;

use super::stops::{Stopped, Stops};
use super::{
    Blocker, Direction, EngineKind, ObservedFact, Outcome, Phase, Thresholds, check::CheckSummary,
    next_steps::next_steps,
};

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// All that lpwatch knows of one host at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub schema_version: u32,
    /// The host's node name (`uname -n`).
    pub host: String,
    /// The running kernel's release (`uname -r`).
    pub kernel: String,
    pub taken_at: Timestamp,
    /// Where the tasks were read from.
    pub source: Source,
    /// Whether a daemon, which has seen what came before, gave this.
    pub daemon: bool,
    pub probes: Vec<Probe>,
    /// What is missing on this host, one sentence each.
    pub notes: Vec<String>,
    /// Kernel events that found no room and were replaced by reading the
    /// state again.
    pub events_lost: u64,
    pub patches: Vec<Patch>,
    /// Functions that are watched without a patch being loaded for them.
    #[serde(default)]
    pub watched: Vec<Watched>,
    /// For how long the machine was stopped; `null` where that is not hooked.
    #[serde(default)]
    pub stops: Option<Stops>,
    /// Transitions that ended, newest first.
    pub last_transitions: Vec<PastTransition>,
}

/// Where the tasks were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Source {
    /// The BPF task iterator.
    Bpf,
    /// `/proc/<pid>/task/<tid>/patch_state`.
    Procfs,
}

/// How one fact is observed on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub fact: ObservedFact,
    /// `fentry`, `kprobe`, `raw_tracepoint`, `iter`, `kmsg`, `sysfs`, `procfs`.
    pub kind: String,
    /// What it hangs on, e.g. `klp_init_transition`.
    pub target: String,
    pub attached: bool,
    /// Why this kind, or why it is missing.
    pub note: Option<String>,
}

/// A loaded patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// The name of its module.
    pub name: String,
    pub engine: EngineKind,
    /// Whether it is or is to be in force; `null` where its system does not tell.
    pub enabled: Option<bool>,
    /// Why it is not applied although it was to be, in its system's words.
    #[serde(default)]
    pub failure: Option<String>,
    /// Whether it replaces all patches loaded before it.
    pub replace: Option<bool>,
    /// Its place in the order of loading, from 1.
    pub stack_order: Option<u32>,
    pub objects: Vec<Object>,
    pub transition: Option<Transition>,
    /// What the last check of it foretold; `null` where the daemon was told of
    /// none.
    #[serde(default)]
    pub check: Option<CheckSummary>,
}

impl Patch {
    /// It is loaded, and its system gave it up: it is not in force.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.failure.is_some() && self.enabled == Some(false) && self.transition.is_none()
    }
}

/// `vmlinux` or a module, as far as a patch changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub name: String,
    /// Whether its calls are redirected; `false` for a module not loaded.
    pub patched: Option<bool>,
    pub functions: Vec<Function>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    /// Which of several symbols of that name, from 1.
    pub sympos: u32,
    /// How often it is called; `null` where nothing counts.
    pub calls: Option<Calls>,
    /// Why nothing counts it, where that is known.
    #[serde(default)]
    pub not_counted: Option<String>,
}

/// A transition under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub direction: Direction,
    /// Since when it goes in this direction.
    pub started_at: Option<Timestamp>,
    pub age_seconds: Option<f64>,
    pub tasks_total: Option<u32>,
    pub tasks_remaining: Option<u32>,
    /// How often the kernel has looked at all tasks.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left.
    pub signals: Option<u32>,
    /// `null` where neither start nor progress is known.
    pub phase: Option<Phase>,
    /// An operator turned it round.
    pub reversed: bool,
    /// An operator forced it.
    pub forced: bool,
    /// For how long no task is known to have switched: since lpwatch last saw
    /// one do so, or since the start where it never did.
    pub seconds_without_progress: Option<f64>,
    /// The number of tasks left over time, oldest first.
    pub trend: Vec<TrendPoint>,
    pub blockers: Vec<Blocker>,
    /// Tasks that have switched, by way; `null` where that is not watched.
    pub switched: Option<SwitchedBy>,
    /// What to do next, one sentence or command each.
    pub next: Vec<String>,
}

/// One look at the number of tasks left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// Seconds since lpwatch first saw this transition.
    pub seconds: f64,
    pub remaining: u32,
}

/// A transition that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastTransition {
    /// `null` where only the kernel log tells of it and does not name it.
    pub patch: Option<String>,
    #[serde(default)]
    pub engine: Option<EngineKind>,
    /// `null` for a patch refused before its transition began.
    pub direction: Option<Direction>,
    pub outcome: Outcome,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub duration_seconds: Option<f64>,
    /// The error the kernel gave, e.g. 22 for EINVAL.
    pub errno: Option<u32>,
    /// The kernel's own words.
    pub message: Option<String>,
    pub tries: Option<u32>,
    pub signals: Option<u32>,
    pub tasks_total: Option<u32>,
    /// From the kernel's hook to lpwatch's record, in milliseconds.
    pub recorded_after_ms: Option<f64>,
    /// What the last check before it foretold.
    #[serde(default)]
    pub check: Option<CheckSummary>,
    /// The stops of the machine while it went on; `null` where that is not known.
    #[serde(default)]
    pub stopped: Option<Stopped>,
}

impl PastTransition {
    /// Of a patch that the kernel refused; nothing else is known of it yet.
    pub(super) fn refused(
        patch: Option<String>,
        ended_at: Timestamp,
        message: Option<String>,
    ) -> Self {
        Self {
            patch,
            engine: Some(EngineKind::Livepatch),
            direction: None,
            outcome: Outcome::Refused,
            started_at: None,
            ended_at,
            duration_seconds: None,
            errno: None,
            message,
            tries: None,
            signals: None,
            tasks_total: None,
            recorded_after_ms: None,
            check: None,
            stopped: None,
        }
    }
}

impl Snapshot {
    /// The patch of this name.
    #[must_use]
    pub fn patch(&self, name: &str) -> Option<&Patch> {
        self.patches.iter().find(|patch| patch.name == name)
    }

    /// The last transition of this patch that has ended.
    #[must_use]
    pub fn last_transition(&self, name: &str) -> Option<&PastTransition> {
        self.last_transitions
            .iter()
            .find(|past| past.patch.as_deref() == Some(name))
    }

    /// Judges the phases anew by other thresholds.
    pub fn judge(&mut self, thresholds: &Thresholds) {
        for Patch {
            name,
            engine,
            transition,
            ..
        } in &mut self.patches
        {
            if let Some(transition) = transition {
                transition.judge(*engine, name, thresholds);
            }
        }
    }
}

impl Transition {
    fn judge(&mut self, engine: EngineKind, patch: &str, thresholds: &Thresholds) {
        let duration = |seconds: Option<f64>| {
            seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        };
        self.phase = thresholds.phase(
            duration(self.age_seconds),
            duration(self.seconds_without_progress),
        );
        self.next = next_steps(
            engine,
            patch,
            self.direction,
            self.phase,
            self.signals,
            &self.blockers,
        );
    }
}
