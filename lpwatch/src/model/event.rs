//! Events of transitions, from any source.

use std::time::Duration;

use super::{Direction, EngineKind, Operator};

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// A hook in the kernel: exact and first.
    Hook,
    /// A line of the kernel log.
    Log,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, since boot.
    pub at: Duration,
    pub source: EventSource,
    pub kind: EventKind,
}

/// The kind of an event. A patch or direction that the source does not give is
/// `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A transition begins, or begins again in the other direction.
    Begun {
        patch: String,
        direction: Direction,
        replace: Option<bool>,
        /// The epoch of counting that begins, if a hook reports it.
        epoch: Option<u32>,
    },
    /// The kernel tries to switch all tasks; `before` is the number of earlier tries.
    Try {
        patch: Option<String>,
        direction: Option<Direction>,
        before: Option<u32>,
    },
    /// Every task has switched, or a cancelled transition is cleaned up.
    Complete {
        patch: Option<String>,
        direction: Option<Direction>,
        before: Option<u32>,
        /// The epoch of counting that begins, if a hook reports it.
        epoch: Option<u32>,
    },
    /// `by` is known if a hook reports it.
    Reversed {
        patch: Option<String>,
        by: Option<Operator>,
    },
    /// `by` is known if a hook reports it.
    Forced {
        patch: Option<String>,
        by: Option<Operator>,
    },
    Cancelled {
        patch: Option<String>,
    },
    /// A livepatch module's init function failed with this (positive) errno.
    Refused {
        patch: String,
        errno: u32,
    },
    /// The kernel signals the remaining tasks.
    Signaling,
    /// A patch's object changes with a module that is loaded or unloaded.
    ObjectChanged,
    /// A patched module is being unloaded.
    ObjectReverted {
        patch: String,
        object: String,
    },
    /// The kernel refused to load a module, because a patch failed for it.
    ObjectRefused {
        patch: String,
        object: String,
        /// Positive; `None` if the kernel does not log it.
        errno: Option<u32>,
        /// What does not fit, in the kernel's words.
        cause: Option<String>,
    },
    /// A module was loaded or unloaded.
    ModuleChanged {
        module: String,
        loaded: bool,
    },
    /// A warning or error of livepatch, in the kernel's words.
    Complaint {
        patch: Option<String>,
        text: String,
    },
    /// A patching system other than livepatch reported something.
    Elsewhere {
        engine: EngineKind,
        what: Elsewhere,
    },
}

/// A report of another patching system in the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// A transition begins.
    Begun { patch: String, direction: Direction },
    /// It checked the remaining tasks and is not finished.
    Tried,
    /// An operator forced it.
    Forced,
    /// It refused a patch, with the reason.
    Refused { patch: Option<String>, text: String },
    /// The task that blocked the patch that it just refused.
    Holder { pid: u32, comm: String },
    /// Something changed; the next reading shows what.
    Changed,
}

impl EventKind {
    /// Whether both a hook and the log report it.
    pub(super) fn is_lifecycle(&self) -> bool {
        match self {
            Self::Begun { .. }
            | Self::Try { .. }
            | Self::Complete { .. }
            | Self::Reversed { .. }
            | Self::Forced { .. }
            | Self::Cancelled { .. }
            | Self::Refused { .. } => true,
            Self::Signaling
            | Self::ObjectChanged
            | Self::ObjectReverted { .. }
            | Self::ObjectRefused { .. }
            | Self::ModuleChanged { .. }
            | Self::Complaint { .. }
            | Self::Elsewhere { .. } => false,
        }
    }
}
