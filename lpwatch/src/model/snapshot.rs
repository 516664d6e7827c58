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
    Blocker, Direction, EngineKind, ModuleRefusal, ObservedFact, Operator, Outcome, Phase, Refusal,
    Thresholds,
    check::CheckSummary,
    document::{DocumentHead, milliseconds, optional},
    next_steps::{Stuck, next_steps},
    waits::TransitionHold,
};

/// The state of one host at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "StatusDocument"))]
pub struct Snapshot {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether it comes from a daemon, which also knows earlier events. `false`: the
    /// command inspected the host itself.
    pub daemon: bool,
    /// When a transition counts as slow, stalled or long.
    pub thresholds: Thresholds,
    /// How each fact is observed on this host.
    pub probes: Vec<Probe>,
    /// What is missing on this host, and what could not be read, one note each.
    pub notes: Vec<String>,
    /// Kernel events that were lost because the ring buffer was full. The state was
    /// then read again.
    pub events_lost: u64,
    /// The loaded patches of all patching systems.
    pub patches: Vec<Patch>,
    /// Functions whose calls are counted although no loaded patch changes them
    /// (`lpwatch daemon --watch`).
    pub watched: Vec<Watched>,
    /// How long `stop_machine` stopped the machine, since the daemon hooked it; `null`
    /// if it is not hooked.
    pub stops: Option<Stops>,
    /// Transitions that ended, newest first, at most 32.
    pub last_transitions: Vec<PastTransition>,
}

/// How one fact is observed on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Probe {
    /// What is observed.
    pub fact: ObservedFact,
    /// How it is observed; `none` if no hook works.
    #[cfg_attr(test, schemars(with = "super::doctor::FactSource"))]
    pub kind: String,
    /// The function, the iterator or the file, e.g. `klp_init_transition`.
    pub target: String,
    /// Whether it works.
    pub attached: bool,
    /// Why it is of this kind, or why the fact is not observed; `null` if there is
    /// nothing to say.
    pub note: Option<String>,
}

/// A loaded patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Patch {
    /// The name of its module.
    pub name: String,
    /// The patching system.
    pub engine: EngineKind,
    /// Whether it is enabled or being enabled; `null` if its system does not report
    /// that.
    pub enabled: Option<bool>,
    /// Why its system last refused to apply or reverse it; `null` if it has not, or
    /// reports no refusals.
    pub refusal: Option<Refusal>,
    /// Whether it replaces all patches loaded before it; `null` if unknown.
    pub replace: Option<bool>,
    /// Its place in the order of loading, from 1; `null` if the kernel does not show
    /// it (before 6.14). In a transition as last known, because the kernel's file
    /// cannot be read while a callback of the patch runs.
    pub stack_order: Option<u32>,
    /// The objects that it changes.
    pub objects: Vec<Object>,
    /// Its transition; `null` if it is not in transition.
    pub transition: Option<Transition>,
    /// The last `lpwatch check` of it; `null` if the daemon has received none.
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
    /// `vmlinux` (the kernel itself) or the name of a module; `null` if the patching
    /// system does not show it.
    #[serde(with = "super::view::object_or_null")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub name: String,
    /// Whether calls are redirected to the new code; `false` for a module that is not
    /// loaded, `null` if unknown.
    pub patched: Option<bool>,
    /// The kernel's last refusal to load this module, because the patch does not fit
    /// it; `null` if there was none since.
    pub refusal: Option<ModuleRefusal>,
    /// The functions that the patch changes in it.
    pub functions: Vec<Function>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Function {
    /// Its name in the kernel's symbol table.
    pub name: String,
    /// Which of several symbols with this name in the object, from 1.
    pub sympos: u32,
    /// The calls of its old and new code; `null` if they are not counted.
    pub calls: Option<Calls>,
    /// Why the calls are not counted; `null` if they are, or if the reason is unknown.
    pub not_counted: Option<String>,
}

/// A transition under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transition {
    /// Whether tasks switch to the new code or back.
    pub direction: Direction,
    /// When it began in this direction; `null` if it began before lpwatch and the
    /// kernel log no longer contains that.
    #[serde(serialize_with = "optional::milliseconds")]
    pub started_at: Option<Timestamp>,
    /// How long ago it began in this direction, in seconds; `null` if unknown.
    pub age_seconds: Option<f64>,
    /// The number of all tasks; `null` if unknown.
    pub tasks_total: Option<u32>,
    /// The tasks that have not switched; `null` if the tasks were not inspected, or
    /// not all of them could be read.
    pub tasks_remaining: Option<u32>,
    /// How often the kernel has checked all tasks, in this direction; `null` if not
    /// observed.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left, in this direction; `null` if
    /// not observed.
    pub signals: Option<u32>,
    /// How often the kernel has checked all tasks, in both directions; `null` if not
    /// all of that was counted.
    pub tries_in_all: Option<u32>,
    /// How often the kernel has signalled the tasks left, in both directions; `null`
    /// if not all of that was counted.
    pub signals_in_all: Option<u32>,
    /// How far it is; `null` if neither its start nor its progress is known.
    pub phase: Option<Phase>,
    /// Whether an operator reversed it.
    pub reversed: bool,
    /// Who reversed it last; `null` if nobody did, or no hook reported it.
    pub reversed_by: Option<Operator>,
    /// Whether an operator forced it.
    pub forced: bool,
    /// Who forced it; `null` if nobody did, or no hook reported it.
    pub forced_by: Option<Operator>,
    /// How long no task has switched, in seconds: since lpwatch last saw a task switch,
    /// or since the start if none has. `null` if a task may have switched unseen.
    pub seconds_without_progress: Option<f64>,
    /// The number of tasks left over time, oldest first, at most 120 points. Of
    /// consecutive points with the same number only the first and the last are kept.
    pub trend: Vec<TrendPoint>,
    /// The tasks left. If only idle tasks are left, they are one entry with `tid` 0.
    /// Empty while no task can switch: see `waits_for`.
    pub blockers: Vec<Blocker>,
    /// What it waits for if it is no task; `null` if nothing of that was found.
    pub waits_for: Option<TransitionHold>,
    /// Tasks that have switched, by how they did; `null` if no hook has counted them
    /// from the start.
    pub switched: Option<SwitchedBy>,
    /// What to do about the transition as a whole. A command follows its sentence
    /// after a newline.
    pub next: Vec<String>,
}

/// The number of tasks left at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrendPoint {
    /// Seconds since lpwatch first saw this transition.
    pub seconds: f64,
    /// The tasks left at that moment.
    pub remaining: u32,
}

/// A transition that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PastTransition {
    /// Its patch; `null` if only the kernel log reports it, without the name.
    pub patch: Option<String>,
    /// The patching system; `null` if unknown.
    pub engine: Option<EngineKind>,
    /// The direction in which it began, also if it was reversed; `null` for a patch
    /// refused before its transition began.
    pub direction: Option<Direction>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began; `null` if that was not observed.
    #[serde(serialize_with = "optional::milliseconds")]
    pub started_at: Option<Timestamp>,
    /// When it ended. It has ended when the last callback of the patch has returned.
    #[serde(serialize_with = "milliseconds")]
    pub ended_at: Timestamp,
    /// From its start to its end, in seconds; `null` if its start was not observed.
    pub duration_seconds: Option<f64>,
    /// Why the patch was refused, or enabling it failed; `null` with other outcomes.
    pub refusal: Option<Refusal>,
    /// How often the kernel checked all tasks, in its last direction; `null` if not
    /// observed.
    pub tries: Option<u32>,
    /// How often the kernel signalled the tasks left, in its last direction; `null` if
    /// not observed.
    pub signals: Option<u32>,
    /// How often the kernel checked all tasks, in both directions; `null` if not all
    /// of that was counted.
    pub tries_in_all: Option<u32>,
    /// How often the kernel signalled the tasks left, in both directions; `null` if
    /// not all of that was counted.
    pub signals_in_all: Option<u32>,
    /// The number of all tasks; `null` if unknown.
    pub tasks_total: Option<u32>,
    /// The time from the kernel's hook to lpwatch's record, in milliseconds; `null` if
    /// no hook reported the end.
    pub recorded_after_ms: Option<f64>,
    /// The last `lpwatch check` of the patch before it; `null` if the daemon has
    /// received none.
    pub check: Option<CheckSummary>,
    /// The stops of the machine during it; `null` if unknown. `times` is 0 if the
    /// machine was not stopped.
    pub stopped: Option<Stopped>,
    /// Who reversed it last; `null` if nobody did, or no hook reported it.
    pub reversed_by: Option<Operator>,
    /// Who forced it; `null` if nobody did, or no hook reported it.
    pub forced_by: Option<Operator>,
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
            reversed_by: None,
            forced_by: None,
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

    /// The loaded patch that has replaced this one, which was enabled and is not loaded
    /// any more; `None` if none has, or if it could have been another.
    #[must_use]
    pub fn replaced_by(&self, name: &str) -> Option<&str> {
        if self.patch(name).is_some() {
            return None;
        }
        let enabled = |past: &PastTransition| {
            past.outcome.is_success() && past.direction == Some(Direction::Patching)
        };
        let is_it = |past: &PastTransition| past.patch.as_deref() == Some(name);
        let at = self.last_transitions.iter().position(is_it)?;
        let (later, own) = self.last_transitions.split_at(at);
        own.first().filter(|past| enabled(past))?;
        // Oldest first: the first patch that may have replaced it.
        let mut enabled_later = later.iter().rev().filter(|past| enabled(past));
        enabled_later.find_map(|past| {
            let patch = past.patch.as_deref().and_then(|other| self.patch(other));
            match patch.map(|patch| patch.replace) {
                Some(Some(false)) => None,
                Some(Some(true)) => Some(patch.map(|patch| patch.name.as_str())),
                // It is not known whether it replaced others.
                Some(None) | None => Some(None),
            }
        })?
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
