//! The one value from which table, JSON, metrics and page are rendered.
//!
//! The JSON form is a contract: keys are added, and `schema_version` changes if one
//! goes or changes its meaning. Unknown is `null`, not 0.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::calls::figures::{Calls, Finding, FindingKind, PhaseCalls, Rate, Severity, Watched};
pub use super::{document::Source, view::SwitchedBy};

use super::stops::{Stopped, Stops};
use super::{
    Blocker, Direction, EngineKind, ModuleRefusal, ObservedFact, Outcome, Phase, Refusal,
    Thresholds,
    check::CheckSummary,
    document::{DocumentHead, milliseconds, optional},
    next_steps::{Stuck, next_steps},
    waits::TransitionHold,
};

/// What lpwatch knows about one host at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshot {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether it comes from a daemon, which also knows what happened before.
    pub daemon: bool,
    /// When a transition counts as slow, stalled or long.
    pub thresholds: Thresholds,
    pub probes: Vec<Probe>,
    /// What is missing on this host, one note each.
    pub notes: Vec<String>,
    /// Kernel events that did not fit into the ring buffer. The state was then read
    /// again.
    pub events_lost: u64,
    pub patches: Vec<Patch>,
    /// Functions that are watched although no loaded patch changes them.
    pub watched: Vec<Watched>,
    /// For how long the machine was stopped; `null` if no hook measures it.
    pub stops: Option<Stops>,
    /// Transitions that ended, newest first.
    pub last_transitions: Vec<PastTransition>,
}

/// How one fact is observed on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Patch {
    /// The name of its module.
    pub name: String,
    pub engine: EngineKind,
    /// Whether it is in force, or will be; `null` if its engine does not report it.
    pub enabled: Option<bool>,
    /// Why its system last refused to apply or reverse it.
    pub refusal: Option<Refusal>,
    /// Whether it replaces all patches loaded before it.
    pub replace: Option<bool>,
    /// Its place in the order of loading, from 1.
    pub stack_order: Option<u32>,
    pub objects: Vec<Object>,
    pub transition: Option<Transition>,
    /// The last check of it; `null` if the daemon has received none.
    pub check: Option<CheckSummary>,
}

impl Patch {
    /// Whether it is loaded but not in force, because its engine refused it.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.refusal.is_some() && self.enabled == Some(false) && self.transition.is_none()
    }
}

/// `vmlinux` or a module, with the functions that a patch changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Object {
    pub name: String,
    /// Whether calls are redirected; `false` for a module that is not loaded.
    pub patched: Option<bool>,
    /// If the kernel last refused to load this module, because of the patch.
    pub refusal: Option<ModuleRefusal>,
    pub functions: Vec<Function>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Function {
    pub name: String,
    /// Which of several symbols with this name, from 1.
    pub sympos: u32,
    /// How often it is called; `null` if nothing counts the calls.
    pub calls: Option<Calls>,
    /// Why nothing counts the calls, if that is known.
    pub not_counted: Option<String>,
}

/// A transition under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transition {
    pub direction: Direction,
    /// Since when it has this direction.
    #[serde(serialize_with = "optional::milliseconds")]
    pub started_at: Option<Timestamp>,
    pub age_seconds: Option<f64>,
    pub tasks_total: Option<u32>,
    pub tasks_remaining: Option<u32>,
    /// How often the kernel has checked all tasks, in this direction.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left, in this direction.
    pub signals: Option<u32>,
    /// The same in both directions; as `tries` if it was not reversed.
    pub tries_in_all: Option<u32>,
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
    pub waits_for: Option<TransitionHold>,
    /// Tasks that have switched, by way; `null` if no hook counts them.
    pub switched: Option<SwitchedBy>,
    /// What to do next. A command follows its sentence after a newline.
    pub next: Vec<String>,
}

/// The number of tasks left at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrendPoint {
    /// Seconds since lpwatch first saw this transition.
    pub seconds: f64,
    pub remaining: u32,
}

/// A transition that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PastTransition {
    /// `null` if only the kernel log reports it, without its name.
    pub patch: Option<String>,
    pub engine: Option<EngineKind>,
    /// `null` for a patch refused before its transition began.
    pub direction: Option<Direction>,
    pub outcome: Outcome,
    #[serde(serialize_with = "optional::milliseconds")]
    pub started_at: Option<Timestamp>,
    #[serde(serialize_with = "milliseconds")]
    pub ended_at: Timestamp,
    pub duration_seconds: Option<f64>,
    /// Why the patch was refused, if it was.
    pub refusal: Option<Refusal>,
    /// In its last direction.
    pub tries: Option<u32>,
    /// In its last direction.
    pub signals: Option<u32>,
    /// In both directions; as `tries` if it was not reversed.
    pub tries_in_all: Option<u32>,
    pub signals_in_all: Option<u32>,
    pub tasks_total: Option<u32>,
    /// From the kernel's hook to lpwatch's record, in milliseconds.
    pub recorded_after_ms: Option<f64>,
    /// The last check before it.
    pub check: Option<CheckSummary>,
    /// The stops of the machine during it; `null` if unknown.
    pub stopped: Option<Stopped>,
}

impl PastTransition {
    /// The record of a patch that the kernel refused, before more is known.
    pub(super) fn refused(patch: Option<String>, ended_at: Timestamp, refusal: Refusal) -> Self {
        Self {
            patch,
            engine: Some(EngineKind::Livepatch),
            direction: None,
            outcome: Outcome::Refused,
            started_at: None,
            ended_at,
            duration_seconds: None,
            refusal: Some(refusal),
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
        self.thresholds = *thresholds;
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
                    kernel: &self.head.kernel,
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
