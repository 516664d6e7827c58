//! What can be known of a patching system's patches, and what cannot.

use serde::Serialize;
use strum::Display;

/// How a system keeps old and new code from mixing: what can be known follows
/// from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Consistency {
    /// The machine is stopped, all stacks are checked, and all tasks change
    /// code at once; or none, and the patch is refused.
    MachineStopped,
    /// Each task changes code on its own when it passes a safe place (it enters
    /// or leaves the kernel); its stack is not looked at.
    PerTask,
    /// Each task changes code on its own, once its stack holds no function to
    /// be patched.
    PerTaskByStack,
    /// Not published.
    NotKnown,
}

/// Whether something can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Yes,
    /// In part: a sentence says what of it.
    Partly(&'static str),
    /// A sentence says why not.
    No(&'static str),
}

impl Known {
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }

    /// Why not, or what is missing of it.
    #[must_use]
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::Partly(why) | Self::No(why) => Some(why),
        }
    }
}

/// What can be known of a system's patches besides that they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knowledge {
    pub consistency: Consistency,
    /// How far a transition is.
    pub progress: Known,
    /// Which tasks hold it up.
    pub blockers: Known,
    /// Why they do.
    pub reasons: Known,
    /// How often old and new code is called.
    pub calls: Known,
    /// Whether a patch can be checked before it is loaded.
    pub check: Known,
    /// Whether its end can be waited for.
    pub wait: Known,
    /// For how long the machine was stopped.
    pub stop_time: Known,
}
