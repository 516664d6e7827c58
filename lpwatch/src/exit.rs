//! The exit codes, a contract with scripts, and the code of each error.

use std::{io, process::ExitCode};

use crate::{error::Error, fleet::prometheus::PrometheusError};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well, or the transition completed.
    Success = 0,
    Error = 1,
    Usage = 2,
    NoPermission = 3,
    /// This kernel does not support it.
    Unsupported = 4,
    InTransition = 10,
    Stalled = 11,
    /// Reversed or failed.
    Failed = 12,
    /// A danger was found.
    Danger = 13,
    /// A warning, and nothing worse, was found with `--strict`.
    Warning = 14,
    /// `verify` proved nothing, and disproved nothing.
    NotProved = 15,
    TimedOut = 124,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoLivepatch(_) => Self::Unsupported,
            Error::NoRights(_) => Self::NoPermission,
            Error::PatchFailed { .. } => Self::Failed,
            Error::Read(error) if error.is_permission() => Self::NoPermission,
            Error::History(error) if error.is_permission() => Self::NoPermission,
            Error::File { source, .. }
            | Error::Socket { source, .. }
            | Error::Listen { source, .. }
                if is_permission(source) =>
            {
                Self::NoPermission
            }
            Error::Fleet(error) => error.into(),
            Error::Read(_)
            | Error::NoHistory(_)
            | Error::History(_)
            | Error::NoSuchPatch { .. }
            | Error::NotAPatch { .. }
            | Error::DaemonRuns { .. }
            | Error::NotASocket { .. }
            | Error::File { .. }
            | Error::Socket { .. }
            | Error::NoFolder { .. }
            | Error::Daemon { .. }
            | Error::DaemonEnded { .. }
            | Error::NoDaemon { .. }
            | Error::Listen { .. }
            | Error::SystemdSocket(_)
            | Error::WebConfig { .. }
            | Error::Io { .. } => Self::Error,
        }
    }
}

impl From<&PrometheusError> for Exit {
    fn from(error: &PrometheusError) -> Self {
        match error {
            PrometheusError::Url(_) => Self::Usage,
            PrometheusError::Refused { .. } => Self::NoPermission,
            PrometheusError::File { source, .. } if is_permission(source) => Self::NoPermission,
            PrometheusError::Unreachable { .. }
            | PrometheusError::TooSlow { .. }
            | PrometheusError::Redirected { .. }
            | PrometheusError::Status(_)
            | PrometheusError::TooLarge { .. }
            | PrometheusError::WrongAnswer { .. }
            | PrometheusError::NoHosts { .. }
            | PrometheusError::File { .. }
            | PrometheusError::Certificate { .. }
            | PrometheusError::NoRoots(_)
            | PrometheusError::Secret { .. } => Self::Error,
        }
    }
}

fn is_permission(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::PermissionDenied
}
