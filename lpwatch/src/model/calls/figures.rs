//! The calls of a function in the snapshot's JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::series::to_float;

/// Calls of the old and the new code of a function, for one patch: its own code is
/// new, the code before it is old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls of the old code since counting began.
    pub old: u64,
    /// Calls of the new code since counting began.
    pub new: u64,
    /// Over the last ten seconds, like the calls of new code; `null` until it was
    /// counted for that long.
    pub old_per_second: Option<f64>,
    pub new_per_second: Option<f64>,
    /// The same over 10, 60 and 300 seconds, if it was counted for that long.
    pub rates: Vec<Rate>,
    /// The kind of counter: `fentry` or `kprobe`.
    pub counter: String,
    /// When counting began.
    pub since: Timestamp,
    /// Before the patch; `null` if counting began later.
    pub before: Option<PhaseCalls>,
    /// While it was being enabled or disabled.
    pub during: Option<PhaseCalls>,
    /// Since it was enabled.
    pub after: Option<PhaseCalls>,
    /// The share of new code in the calls of the last ten seconds, 0 to 1;
    /// `null` without calls.
    pub new_share: Option<f64>,
    /// How often the new function itself was entered since its counting began, and
    /// the calls of new code in that time; `null` if its entries cannot be counted.
    pub entered: Option<Entered>,
    /// Why entries of the new function are not counted, if known.
    #[serde(default)]
    pub not_entered: Option<String>,
    /// Whether the new function runs: `null` if unknown.
    pub effective: Option<bool>,
    /// Calls that ran the code of a patch above this one: in neither sum.
    #[serde(default)]
    pub above: u64,
    /// Calls that cannot be assigned to an epoch, e.g. after lost events.
    pub uncertain: u64,
    pub findings: Vec<Finding>,
}

impl Calls {
    /// The share of entries in the calls that should run the new code; `None` if its
    /// entries do not show that calls are missing.
    #[must_use]
    pub fn share_entered(&self) -> Option<f64> {
        let entered = self.entered.as_ref()?;
        let is_short = entered.entries < entered.expected;
        is_short.then(|| to_float(entered.entries) / to_float(entered.expected))
    }
}

/// Entries of the new function, and the calls that should lead there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The new function's symbol.
    pub function: String,
    pub entries: u64,
    pub expected: u64,
}

/// Calls in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseCalls {
    pub old: u64,
    pub new: u64,
    /// How long it was counted in this phase.
    pub seconds: f64,
    pub old_per_second: Option<f64>,
    pub new_per_second: Option<f64>,
}

/// Calls per second over a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The window's length in seconds: 10, 60 or 300.
    pub seconds: u32,
    pub old_per_second: f64,
    pub new_per_second: f64,
}

/// A finding from the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    /// One sentence, with its evidence.
    pub text: String,
    /// What to do, one sentence or command each.
    pub advice: Vec<String>,
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The original is called, and the new function is not entered.
    NotEffective,
    /// Some calls did not reach the new function.
    OldCodeCalled,
    /// Not called at all since it was patched.
    NeverCalled,
    /// Its call rate has changed.
    RateChanged,
    /// In a transition, only tasks that have not switched call it.
    OnlyUnswitchedCall,
    /// Functions cannot be patched or counted while ftrace is off.
    FtraceDisabled,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Note,
    Warning,
    Danger,
}

/// A function that is watched before its patch is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// `vmlinux` or a module.
    pub object: String,
    pub name: String,
    pub sympos: u32,
    pub calls: Option<Calls>,
    /// Why it is not counted.
    pub not_counted: Option<String>,
}
