//! The facts that are observed of live patches.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// A fact that a hook, an iterator, a counter or a file reports. Its name is the
/// same in JSON, in labels and on the screen.
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
    /// Which patches are loaded.
    Patches,
    Begun,
    Complete,
    Reversed,
    Forced,
    Cancelled,
    Enable,
    Refused,
    /// The kernel looks at all tasks once.
    Try,
    /// The tasks on old code.
    Tasks,
    /// The kernel's own answer about a task.
    Verdict,
    /// How a task switched.
    Switched,
    /// The BPF programs of the host.
    Programs,
    Calls,
    /// Whether the new code runs.
    Effect,
    ModuleLoaded,
    ModuleFreed,
    /// The stops of the machine.
    Stops,
    /// The kernel log.
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
