//! The calls of a function in the snapshot's JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::document::milliseconds;

/// Calls of the old and the new code of a function, for one patch: its own code is
/// new, the code before it is old. [calls.md](calls.md) says how lpwatch tells them
/// apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Calls {
    /// Calls of the old code since `counted_since`.
    pub old: u64,
    /// Calls of the new code since `counted_since`.
    pub new: u64,
    /// Calls of the old code per second, over the last ten seconds; `null` until it
    /// was counted for that long.
    pub old_per_second: Option<f64>,
    /// Calls of the new code per second, over the last ten seconds; `null` until it
    /// was counted for that long.
    pub new_per_second: Option<f64>,
    /// Calls per second over 10, 60 and 300 seconds, each once it was counted for that
    /// long.
    pub rates: Vec<Rate>,
    /// The kind of counter: `fentry`, `kprobe`, or `kprobe_multi` (one hook on many functions).
    pub counter: String,
    /// When counting began. A counter that starts again has a new time.
    #[serde(serialize_with = "milliseconds")]
    pub counted_since: Timestamp,
    /// The calls before the patch; `null` if counting began later.
    pub before: Option<PhaseCalls>,
    /// The calls while the patch was being enabled or disabled; `null` if nothing was
    /// counted in that time.
    pub during: Option<PhaseCalls>,
    /// The calls since the patch was enabled; `null` if nothing was counted in that
    /// time.
    pub after: Option<PhaseCalls>,
    /// The share of new code in the calls of the last ten seconds, 0 to 1; `null`
    /// without calls.
    pub new_share: Option<f64>,
    /// The entries of the new function itself; `null` if they are not counted, see
    /// `not_entered`.
    pub entered: Option<Entered>,
    /// Why entries of the new function are not counted; `null` if they are, or if the
    /// reason is unknown.
    #[serde(default)]
    pub not_entered: Option<String>,
    /// Whether calls enter the new function; `null` if unknown, e.g. without calls.
    pub effective: Option<bool>,
    /// Calls that ran the code of a patch above this one. They are in neither sum.
    #[serde(default)]
    pub above: u64,
    /// Calls of which it is unknown whether they ran old or new code, e.g. after lost
    /// events. They are in neither sum.
    pub uncertain: u64,
    /// Calls that the kernel did not count, of this function or of others that are
    /// counted by the same hook (`kprobe_multi`): it does not tell of which. They are in
    /// no sum. `null` if there are none.
    #[serde(default)]
    pub missed_together: Option<u64>,
    /// What the numbers show. Empty if nothing is wrong.
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

/// Entries of the new function, compared with the calls that should lead there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entered {
    /// The symbol of the new function.
    pub function: String,
    /// How often it was entered since its entries are counted.
    pub entries: u64,
    /// The calls of new code in that time. A few may be missing in `entries`, because
    /// the counters are not exact.
    pub expected: u64,
}

/// The calls before a patch, during its transitions, or after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhaseCalls {
    /// Calls of the old code.
    pub old: u64,
    /// Calls of the new code.
    pub new: u64,
    /// How long it was counted in this phase, in seconds.
    pub seconds: f64,
    /// Calls of the old code per second, on average; `null` if `seconds` is 0.
    pub old_per_second: Option<f64>,
    /// Calls of the new code per second, on average; `null` if `seconds` is 0.
    pub new_per_second: Option<f64>,
}

/// Calls per second over the last seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CallRate"))]
pub struct Rate {
    /// Over how many seconds: 10, 60 or 300.
    pub seconds: u32,
    /// Calls of the old code per second.
    pub old_per_second: f64,
    /// Calls of the new code per second.
    pub new_per_second: f64,
}

/// A finding from the numbers of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CallsFinding"))]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence, with the evidence.
    pub text: String,
    /// What to do, one sentence or command each. Empty if nothing is to be done.
    pub advice: Vec<String>,
}

/// The kind of a finding. [calls.md](calls.md#findings) describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CallsFindingKind"))]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Calls should run the new code, and do not.
    NotEffective,
    /// Some calls did not run the new code.
    OldCodeCalled,
    /// It was not called for a minute or longer since it was patched.
    NeverCalled,
    /// It is called at another rate than before the patch.
    RateChanged,
    /// In this transition, only tasks that have not switched call it.
    OnlyUnswitchedCall,
    /// ftrace is switched off: the kernel redirects no call, and nothing is counted.
    FtraceDisabled,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Read it before you go on.
    Warning,
    /// Something is wrong, or would be.
    Danger,
}

/// A function that is counted before its patch is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "WatchedFunction"))]
pub struct Watched {
    /// `vmlinux` (the kernel itself) or the name of a module.
    pub object: String,
    /// Its name in the kernel's symbol table.
    pub name: String,
    /// Which of several symbols with this name in the object, from 1.
    pub sympos: u32,
    /// Its calls, all of old code; `null` if they are not counted.
    pub calls: Option<Calls>,
    /// Why the calls are not counted; `null` if they are.
    pub not_counted: Option<String>,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates are shown with few digits"
)]
pub(super) fn to_float(count: u64) -> f64 {
    count as f64
}
