//! What came of checking a patch before it is loaded: part of the JSON contract,
//! and shown beside the transition that follows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Culprit, snapshot::Severity};

/// How safe it is to load the patch, here and now: the worst of all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Safe,
    Warning,
    Danger,
}

/// All that was found about one patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    pub schema_version: u32,
    pub host: String,
    /// The running kernel's release.
    pub kernel: String,
    pub checked_at: Timestamp,
    /// The name the patch has once loaded; `null` where the file could not be
    /// read.
    pub patch: Option<String>,
    /// The file; `null` for a patch that is loaded already.
    pub file: Option<String>,
    pub verdict: Verdict,
    /// Worst first.
    pub findings: Vec<CheckFinding>,
    pub forecast: Forecast,
    /// What could not be looked at, a sentence each.
    pub notes: Vec<String>,
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckFinding {
    /// The rule's id: `lpwatch check --explain RULE` tells its background.
    pub rule: String,
    pub severity: Severity,
    /// One sentence.
    pub text: String,
    /// What it rests on, a line each.
    pub evidence: Vec<String>,
    /// What to do, a sentence or command each.
    pub remedy: Vec<String>,
    /// What the kernel would answer to loading it, if it would refuse.
    pub refusal: Option<Refusal>,
}

/// An answer of the kernel to loading a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Positive, e.g. 16 for EBUSY.
    pub errno: u32,
}

/// What would happen if the patch were loaded now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub course: Course,
    /// The same in a sentence.
    pub text: String,
    pub refusal: Option<Refusal>,
    /// Tasks that would switch at the first tries; `null` where the tasks were
    /// not looked at, as are the lists empty then.
    pub at_once: Option<u32>,
    /// Tasks that would switch at the kernel's signal, 15 s in.
    pub after_signal: Vec<Predicted>,
    /// Tasks of which it is not known when they would switch.
    pub later: Vec<Predicted>,
    /// Tasks that would not switch as long as they do what they do.
    pub never: Vec<Predicted>,
}

/// How loading it would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// The kernel would refuse it.
    Refused,
    /// The transition would complete before the kernel's signal.
    Completes,
    /// It would complete after the kernel's signal.
    AfterSignal,
    /// It may take long: some tasks leave when they will.
    Open,
    /// It would stall.
    Stalls,
    /// It is loaded already.
    Loaded,
    NotKnown,
}

/// A task that would be in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub kthread: bool,
    /// The function in the way, where one is.
    pub function: Option<String>,
    pub reason: Obstacle,
    /// Who makes its stack unreliable.
    pub program: Option<Culprit>,
    /// In how many looks it was found so, of how many.
    pub seen: u32,
    pub looks: u32,
}

/// Why a task would be in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A kernel thread whose main function is to be patched.
    MainFunction,
    /// Asleep in a function to be patched.
    AsleepIn,
    /// The same in uninterruptible sleep.
    Uninterruptible,
    /// A stack the kernel cannot trust.
    UnreliableStack,
    /// On its CPU all the time.
    Running,
    KvmVcpu,
}

/// A check in short, to stand beside the transition that follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckSummary {
    pub checked_at: Timestamp,
    pub verdict: Verdict,
    pub course: Course,
    /// What was to be expected, in a sentence.
    pub text: String,
}

/// The last check of each patch.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    by_patch: BTreeMap<String, CheckSummary>,
}

/// Patches whose check is remembered.
const REMEMBERED: usize = 64;

impl Checks {
    /// Takes in a check; one of a patch without a name says nothing.
    pub fn note(&mut self, report: &CheckReport) {
        let Some(patch) = &report.patch else {
            return;
        };
        let summary = CheckSummary {
            checked_at: report.checked_at,
            verdict: report.verdict,
            course: report.forecast.course,
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
