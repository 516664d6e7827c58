//! The one value from which table, JSON, metrics and page are rendered.
//!
//! The JSON form is a contract: fields are only added, and `schema_version`
//! changes if a field changes its meaning. Unknown is `null`, not 0.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

pub use super::calls::figures::{Calls, Finding, FindingKind, PhaseCalls, Rate, Severity, Watched};
pub use super::view::SwitchedBy;

use super::stops::{Stopped, Stops};
use super::{
    Blocker, Direction, EngineKind, ModuleRefusal, ObservedFact, Outcome, Phase, Thresholds,
    check::CheckSummary,
    next_steps::{Stuck, next_steps},
    waits::TransitionHold,
};

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// What lpwatch knows about one host at one moment.
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
    /// Whether it comes from a daemon, which also knows what happened before.
    pub daemon: bool,
    pub probes: Vec<Probe>,
    /// What is missing on this host, one note each.
    pub notes: Vec<String>,
    /// Kernel events that did not fit into the ring buffer. The state was then read
    /// again.
    pub events_lost: u64,
    pub patches: Vec<Patch>,
    /// Functions that are watched although no loaded patch changes them.
    #[serde(default)]
    pub watched: Vec<Watched>,
    /// For how long the machine was stopped; `null` if no hook measures it.
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
    /// What it is attached to, e.g. `klp_init_transition`.
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
    /// Whether it is in force, or will be; `null` if its engine does not report it.
    pub enabled: Option<bool>,
    /// Why its engine refused to apply it, in the words of the engine.
    #[serde(default)]
    pub failure: Option<String>,
    /// Whether it replaces all patches loaded before it.
    pub replace: Option<bool>,
    /// Its place in the order of loading, from 1.
    pub stack_order: Option<u32>,
    pub objects: Vec<Object>,
    pub transition: Option<Transition>,
    /// The last check of it; `null` if the daemon has received none.
    #[serde(default)]
    pub check: Option<CheckSummary>,
}

impl Patch {
    /// Whether it is loaded but not in force, because its engine refused it.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.failure.is_some() && self.enabled == Some(false) && self.transition.is_none()
    }
}

/// `vmlinux` or a module, with the functions that a patch changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub name: String,
    /// Whether calls are redirected; `false` for a module that is not loaded.
    pub patched: Option<bool>,
    /// If the kernel last refused to load this module, because of the patch.
    #[serde(default)]
    pub refused: Option<ModuleRefusal>,
    pub functions: Vec<Function>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    /// Which of several symbols with this name, from 1.
    pub sympos: u32,
    /// How often it is called; `null` if nothing counts the calls.
    pub calls: Option<Calls>,
    /// Why nothing counts the calls, if that is known.
    #[serde(default)]
    pub not_counted: Option<String>,
}

/// A transition under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub direction: Direction,
    /// Since when it has this direction.
    pub started_at: Option<Timestamp>,
    pub age_seconds: Option<f64>,
    pub tasks_total: Option<u32>,
    pub tasks_remaining: Option<u32>,
    /// How often the kernel has checked all tasks, in this direction.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left, in this direction.
    pub signals: Option<u32>,
    /// The same in both directions; as `tries` if it was not reversed.
    #[serde(default)]
    pub tries_in_all: Option<u32>,
    #[serde(default)]
    pub signals_in_all: Option<u32>,
    /// `null` if neither start nor progress is known.
    pub phase: Option<Phase>,
    /// An operator reversed it.
    pub reversed: bool,
    /// An operator forced it.
    pub forced: bool,
    /// The time since lpwatch last saw a task switch, or since the start if it saw
    /// none.
    pub seconds_without_progress: Option<f64>,
    /// The number of tasks left over time, oldest first.
    pub trend: Vec<TrendPoint>,
    pub blockers: Vec<Blocker>,
    /// What it waits for if it is no task; `null` if nothing of that was found.
    #[serde(default)]
    pub waits_for: Option<TransitionHold>,
    /// Tasks that have switched, by way; `null` if no hook counts them.
    pub switched: Option<SwitchedBy>,
    /// What to do next. A command follows its sentence after a newline.
    pub next: Vec<String>,
}

/// The number of tasks left at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// Seconds since lpwatch first saw this transition.
    pub seconds: f64,
    pub remaining: u32,
}

/// A transition that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastTransition {
    /// `null` if only the kernel log reports it, without its name.
    pub patch: Option<String>,
    #[serde(default)]
    pub engine: Option<EngineKind>,
    /// `null` for a patch refused before its transition began.
    pub direction: Option<Direction>,
    pub outcome: Outcome,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub duration_seconds: Option<f64>,
    /// The kernel's error, e.g. 22 for EINVAL.
    pub errno: Option<u32>,
    /// The kernel's message.
    pub message: Option<String>,
    /// In its last direction.
    pub tries: Option<u32>,
    /// In its last direction.
    pub signals: Option<u32>,
    /// In both directions; as `tries` if it was not reversed.
    #[serde(default)]
    pub tries_in_all: Option<u32>,
    #[serde(default)]
    pub signals_in_all: Option<u32>,
    pub tasks_total: Option<u32>,
    /// From the kernel's hook to lpwatch's record, in milliseconds.
    pub recorded_after_ms: Option<f64>,
    /// The last check before it.
    #[serde(default)]
    pub check: Option<CheckSummary>,
    /// The stops of the machine during it; `null` if unknown.
    #[serde(default)]
    pub stopped: Option<Stopped>,
}

impl PastTransition {
    /// The record of a patch that the kernel refused, before more is known.
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
            tries_in_all: None,
            signals_in_all: None,
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

    /// Determines the phases again, with other thresholds.
    pub fn judge(&mut self, thresholds: &Thresholds) {
        for Patch {
            name,
            engine,
            replace,
            transition,
            ..
        } in &mut self.patches
        {
            if let Some(transition) = transition {
                let stuck = Stuck {
                    engine: *engine,
                    patch: name,
                    replace: *replace,
                    direction: transition.direction,
                    age: duration(transition.age_seconds),
                    signals: transition.signals,
                    kernel: &self.kernel,
                };
                transition.judge(&stuck, thresholds);
            }
        }
    }
}

fn duration(seconds: Option<f64>) -> Option<std::time::Duration> {
    seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
}

impl Transition {
    fn judge(&mut self, stuck: &Stuck<'_>, thresholds: &Thresholds) {
        self.phase = thresholds.phase(
            duration(self.age_seconds),
            duration(self.seconds_without_progress),
        );
        self.next = next_steps(stuck, self.phase, &self.blockers, self.waits_for.as_ref());
    }
}
