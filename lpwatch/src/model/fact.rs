//! The facts that are observed of live patches.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// A fact that a hook, an iterator, a counter or a file reports. Its name is the same
/// in JSON, in labels and on the screen.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ObservedFact {
    /// Which patches are loaded, enabled and in transition.
    Patches,
    /// A transition begins.
    Begun,
    /// A transition has ended.
    Complete,
    /// An operator reversed a transition.
    Reversed,
    /// An operator forced a transition.
    Forced,
    /// The kernel cancelled a transition while enabling the patch.
    Cancelled,
    /// A patch is being enabled.
    Enable,
    /// The kernel refused a patch, and with which error.
    Refused,
    /// The kernel checks all tasks once; its signals.
    Try,
    /// Which tasks are left, with their stacks.
    Tasks,
    /// The kernel's own answer about each task that it checks.
    Verdict,
    /// How each task switched.
    Switched,
    /// Which BPF program is on the stack of a task, and who holds it.
    Programs,
    /// How often the old and the new code of a function are called.
    Calls,
    /// Whether the new code runs.
    Effect,
    /// A module was loaded, with functions to patch or count.
    ModuleLoaded,
    /// A module was unloaded.
    ModuleFreed,
    /// How long the machine is stopped, and for which patching system.
    Stops,
    /// The kernel's messages about live patches.
    Log,
}

impl ObservedFact {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_have_one_name_each_in_words_and_in_json() {
        for fact in ObservedFact::VARIANTS {
            let json = serde_json::to_string(fact).unwrap();
            assert_eq!(json, format!("\"{fact}\""));
        }
        assert_eq!(ObservedFact::ModuleLoaded.name(), "module_loaded");
    }
}
