//! What happens to transitions, whoever tells of it.

use std::time::Duration;

use super::Direction;

/// Who told of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// A hook in the kernel: exact, and the first to know.
    Hook,
    /// A line of the kernel log.
    Log,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, since boot.
    pub at: Duration,
    pub source: EventSource,
    pub kind: EventKind,
}

/// What happened. A patch or direction the source does not give is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A transition begins, or begins again the other way.
    Begun {
        patch: String,
        direction: Direction,
        replace: Option<bool>,
        /// The epoch of counting that begins, where hooks tell it.
        epoch: Option<u32>,
    },
    /// The kernel looks at all tasks; `before` is how often it has before.
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
        /// The epoch of counting that begins, where hooks tell it.
        epoch: Option<u32>,
    },
    Reversed {
        patch: Option<String>,
    },
    Forced {
        patch: Option<String>,
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
    /// A patch's object changes with a module that comes or goes.
    ObjectChanged,
    /// A module came or went.
    ModuleChanged {
        module: String,
        loaded: bool,
    },
    /// A warning or error of livepatch, in the kernel's words.
    Complaint {
        patch: Option<String>,
        text: String,
    },
}

impl EventKind {
    /// Whether both a hook and the log tell of it.
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
            | Self::ModuleChanged { .. }
            | Self::Complaint { .. } => false,
        }
    }
}
