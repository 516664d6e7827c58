//! Which facts about the patches of a patching system are available.

use serde::Serialize;
use strum::Display;

/// How a patching system prevents old and new code from mixing. The available facts
/// depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Consistency {
    /// The machine is stopped and all stacks are checked. Then all tasks switch at
    /// once, or the patch is refused.
    MachineStopped,
    /// Each task switches at a safe place (when it enters or leaves the kernel). Its
    /// stack is not inspected.
    PerTask,
    /// Each task switches when its stack contains no function of the patch.
    PerTaskByStack,
    /// It is not published.
    NotKnown,
}

/// Whether a fact is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Yes,
    /// In part; the text says which part.
    Partly(&'static str),
    /// No; the text says why.
    No(&'static str),
}

impl Known {
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }

    /// Why it is unavailable, or which part is.
    #[must_use]
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::Partly(why) | Self::No(why) => Some(why),
        }
    }
}

/// The available facts about a system's patches, besides their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knowledge {
    pub consistency: Consistency,
    /// The progress of a transition.
    pub progress: Known,
    /// The blockers of a transition.
    pub blockers: Known,
    /// The reasons of the blockers.
    pub reasons: Known,
    /// The calls of old and new code.
    pub calls: Known,
    /// Whether a patch can be checked before it is loaded.
    pub check: Known,
    /// Whether lpwatch can wait for the end of its transition.
    pub wait: Known,
    /// How long the machine was stopped.
    pub stop_time: Known,
}
