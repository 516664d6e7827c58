//! The report of checking a patch before it is loaded: part of the JSON contract,
//! and shown beside the transition that follows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Culprit, TaskKind,
    document::{DocumentHead, milliseconds},
    snapshot::Severity,
};

/// How safe it is to load the patch on this host now: the worst of all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// No finding is worse than a note.
    Safe,
    /// Read the findings before you load the patch.
    Warning,
    /// The patch would be refused, stall, have no effect, or do harm.
    Danger,
}

/// The check of one patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CheckDocument"))]
pub struct CheckReport {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The name that the patch has when it is loaded; `null` if the file could not be
    /// read.
    pub patch: Option<String>,
    /// The path of the file; `null` for a patch that is already loaded.
    pub file: Option<String>,
    /// How safe it is to load the patch on this host now.
    pub verdict: CheckVerdict,
    /// What was found, worst first.
    pub findings: Vec<CheckFinding>,
    /// What would happen if the patch were loaded now.
    pub forecast: Forecast,
    /// What could not be inspected, one sentence each.
    pub notes: Vec<String>,
}

/// A finding of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckFinding {
    /// The id of its rule, e.g. `will_block`: see [check.md](check.md#the-rules) and
    /// `lpwatch check --explain RULE`.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// The finding in one sentence.
    pub text: String,
    /// The evidence, one line each.
    pub evidence: Vec<String>,
    /// What to do, one sentence or command each.
    pub remedy: Vec<String>,
    /// The error with which the kernel would refuse the patch; `null` if it would not.
    pub refusal: Option<LoadRefusal>,
}

/// The error with which the kernel would refuse a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadRefusal {
    /// A positive number, e.g. 16 for EBUSY.
    pub errno: u32,
}

/// What would happen if the patch were loaded now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forecast {
    /// The expected outcome.
    pub outcome: ForecastOutcome,
    /// The outcome in one sentence.
    pub text: String,
    /// With the outcome `refused`: the error that the kernel would return; otherwise
    /// `null`.
    pub refusal: Option<LoadRefusal>,
    /// How many tasks would switch at the first tries; `null` if the tasks were not
    /// inspected. The lists are then empty.
    pub at_once: Option<u32>,
    /// Tasks that would switch at the kernel's signal, after 15 s.
    pub after_signal: Vec<Predicted>,
    /// Tasks that would switch at an unknown time.
    pub later: Vec<Predicted>,
    /// Tasks that would not switch by themselves.
    pub never: Vec<Predicted>,
}

/// The expected outcome of loading the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForecastOutcome {
    /// The kernel would refuse the patch.
    Refused,
    /// The transition would complete before the kernel's signal.
    Completes,
    /// The transition would complete after the kernel's signal.
    AfterSignal,
    /// It may take long: some tasks leave the functions at an unknown time.
    Open,
    /// The transition would stall.
    Stalls,
    /// The patch is already loaded.
    Loaded,
    /// It is unknown, because the tasks were not inspected.
    NotKnown,
}

/// A task that would block the transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PredictedTask"))]
pub struct Predicted {
    /// The id of the thread.
    pub tid: u32,
    /// The id of its process.
    pub tgid: u32,
    /// Its name.
    pub comm: String,
    /// Whether it is a thread of the kernel.
    pub kthread: bool,
    /// The kind of the task.
    #[serde(default)]
    pub kind: TaskKind,
    /// The function of the patch on its stack; `null` if there is none.
    pub function: Option<String>,
    /// Why it would block the transition.
    pub reason: Obstacle,
    /// The foreign program that makes its stack unreliable; `null` if there is none or
    /// it is unknown.
    pub program: Option<Culprit>,
    /// In how many inspections it was found so.
    pub seen: u32,
    /// The number of inspections.
    pub looks: u32,
}

/// Why a task would block the transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// It is in its main function, which the patch changes and which it never leaves.
    MainFunction,
    /// It sleeps in a function of the patch.
    AsleepIn,
    /// It sleeps uninterruptibly (D state) in a function of the patch.
    Uninterruptible,
    /// Its stack is unreliable.
    UnreliableStack,
    /// Its stack ends in code for which the kernel has no unwind data.
    NoUnwindData,
    /// It is always on a CPU.
    Running,
    /// A virtual CPU that stays in its guest.
    KvmVcpu,
}

/// A summary of a check, shown beside the transition that follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckSummary {
    /// When the patch was checked.
    #[serde(serialize_with = "milliseconds")]
    pub checked_at: Timestamp,
    /// How safe it was to load the patch then.
    pub verdict: CheckVerdict,
    /// The forecast.
    pub outcome: ForecastOutcome,
    /// The forecast in one sentence.
    pub text: String,
}

/// The last check of each patch.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    by_patch: BTreeMap<String, CheckSummary>,
}

/// How many checks to keep.
const REMEMBERED: usize = 64;

impl Checks {
    /// Adds a check; one without a patch name is ignored.
    pub fn note(&mut self, report: &CheckReport) {
        let Some(patch) = &report.patch else {
            return;
        };
        let summary = CheckSummary {
            checked_at: report.head.taken_at,
            verdict: report.verdict,
            outcome: report.forecast.outcome,
            text: report.forecast.text.clone(),
        };
        self.by_patch.insert(patch.clone(), summary);
        while self.by_patch.len() > REMEMBERED {
            let oldest = self
                .by_patch
                .iter()
                .min_by_key(|(_, check)| check.checked_at);
            let Some(oldest) = oldest.map(|(patch, _)| patch.clone()) else {
                break;
            };
            self.by_patch.remove(&oldest);
        }
    }

    /// The last check of this patch.
    pub fn of(&self, patch: &str) -> Option<&CheckSummary> {
        self.by_patch.get(patch)
    }
}
