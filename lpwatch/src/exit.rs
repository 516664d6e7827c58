//! The exit codes: a contract with scripts.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All well, or completed.
    Well = 0,
    Error = 1,
    Usage = 2,
    NoPermission = 3,
    /// This kernel cannot.
    CannotHere = 4,
    InTransition = 10,
    Stalled = 11,
    /// Reversed or failed.
    Failed = 12,
    /// A danger was found.
    Danger = 13,
    /// Nothing worse than a warning was found, and that was asked for.
    Warning = 14,
    TimedOut = 124,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
