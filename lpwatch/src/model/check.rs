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
    Safe,
    Warning,
    Danger,
}

/// The check of one patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckReport {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The name that the patch has when it is loaded; `null` if the file could not
    /// be read.
    pub patch: Option<String>,
    /// The file; `null` for a patch that is already loaded.
    pub file: Option<String>,
    pub verdict: CheckVerdict,
    /// Worst first.
    pub findings: Vec<CheckFinding>,
    pub forecast: Forecast,
    /// What could not be inspected, one sentence each.
    pub notes: Vec<String>,
}

/// A finding of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckFinding {
    /// The rule's id: `lpwatch check --explain RULE` shows its background.
    pub rule: String,
    pub severity: Severity,
    /// One sentence.
    pub text: String,
    /// The evidence, one line each.
    pub evidence: Vec<String>,
    /// What to do, one sentence or command each.
    pub remedy: Vec<String>,
    /// The error with which the kernel would refuse the patch, if it would.
    pub refusal: Option<LoadRefusal>,
}

/// The error with which the kernel refuses a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadRefusal {
    /// Positive, e.g. 16 for EBUSY.
    pub errno: u32,
}

/// What would happen if the patch were loaded now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forecast {
    pub outcome: ForecastOutcome,
    /// The outcome in one sentence.
    pub text: String,
    pub refusal: Option<LoadRefusal>,
    /// Tasks that would switch at the first tries; `null` if the tasks were not
    /// inspected; the lists are then empty.
    pub at_once: Option<u32>,
    /// Tasks that would switch at the kernel's signal after 15 s.
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
    /// The kernel would refuse it.
    Refused,
    /// The transition would complete before the kernel's signal.
    Completes,
    /// It would complete after the kernel's signal.
    AfterSignal,
    /// It may take long: some tasks leave the functions at an unknown time.
    Open,
    /// It would stall.
    Stalls,
    /// The patch is already loaded.
    Loaded,
    NotKnown,
}

/// A task that would block the transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Predicted {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub kthread: bool,
    #[serde(default)]
    pub kind: TaskKind,
    /// The function on its stack, if there is one.
    pub function: Option<String>,
    pub reason: Obstacle,
    /// The program that makes its stack unreliable.
    pub program: Option<Culprit>,
    /// In how many samples it was found so, and of how many.
    pub seen: u32,
    pub looks: u32,
}

/// Why a task would block the transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A kernel thread whose main function is to be patched.
    MainFunction,
    /// Asleep in a function to be patched.
    AsleepIn,
    /// The same in uninterruptible sleep.
    Uninterruptible,
    /// An unreliable stack.
    UnreliableStack,
    /// A stack that ends in code for which the kernel has no unwind data.
    NoUnwindData,
    /// Always on a CPU.
    Running,
    KvmVcpu,
}

/// A summary of a check, shown beside the transition that follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckSummary {
    #[serde(serialize_with = "milliseconds")]
    pub checked_at: Timestamp,
    pub verdict: CheckVerdict,
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
