//! Why BPF is unavailable, in a sentence that a person can act on.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError, sys::SyscallError};
use thiserror::Error;

use crate::kernel::{Roots, lockdown};

/// Why the BPF programs cannot be used.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error(
        "this lpwatch was built without its BPF programs; build it with `cargo xtask build` to \
         get them"
    )]
    NotBuilt,
    #[error(
        "the kernel has no BTF (/sys/kernel/btf/vmlinux); one built with CONFIG_DEBUG_INFO_BTF=y \
         is needed for BPF"
    )]
    NoBtf,
    #[error("no permission to {action}; run as root, or give lpwatch CAP_BPF and CAP_PERFMON")]
    NoPermission { action: &'static str },
    #[error(
        "no permission to attach a kprobe; run as root, or give lpwatch CAP_PERFMON, and \
         CAP_SYS_ADMIN where kernel.perf_event_paranoid is above 2"
    )]
    NoKprobes,
    #[error(
        "the kernel's lockdown (confidentiality) does not allow anyone to {action}; only a kernel \
         booted with lockdown=integrity, or without lockdown, does"
    )]
    LockedDown { action: &'static str },
    #[error("`struct {structure}` has no member `{member}` on this kernel; is CONFIG_LIVEPATCH=y?")]
    Layout {
        structure: &'static str,
        member: &'static str,
    },
    #[error("cannot {action}: {reason}")]
    Failed {
        action: &'static str,
        reason: String,
    },
}

impl ProbeError {
    /// Classifies an error of aya by what the operator can do about it.
    pub(super) fn new(action: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        if is_permission(error) {
            return Self::NoPermission { action };
        }
        // The verifier does not know the helpers that read memory: EINVAL.
        if is_refused_program(error) && is_locked_down() {
            return Self::LockedDown { action };
        }
        Self::Failed {
            action,
            reason: chain(error),
        }
    }

    /// [`Self::new`] for attaching a kprobe. On Debian's kernels and some
    /// others `perf_event_paranoid` has a level at which `CAP_PERFMON` is not
    /// enough.
    pub(super) fn kprobe(action: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        match Self::new(action, error) {
            // It asks for rights before it looks at the lockdown.
            Self::NoPermission { .. } if is_locked_down() => Self::LockedDown { action },
            Self::NoPermission { .. } => Self::NoKprobes,
            other => other,
        }
    }

    /// Whether a privilege is missing.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::NoPermission { .. } | Self::NoKprobes)
    }
}

/// Whether the running kernel hides its memory from programs.
pub(super) fn is_locked_down() -> bool {
    lockdown::hides_memory(&Roots::default().sysfs)
}

/// Whether the verifier refused a program.
fn is_refused_program(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ProgramError::LoadError { .. }) = error.downcast_ref::<ProgramError>() {
            return true;
        }
        next = match error.downcast_ref::<EbpfError>() {
            Some(EbpfError::ProgramError(inner)) => Some(inner),
            _ => error.source(),
        };
    }
    false
}

fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // Some of aya's errors contain the io::Error without naming it as
        // source.
        let io = match (
            error.downcast_ref::<SyscallError>(),
            error.downcast_ref::<ProgramError>(),
        ) {
            (Some(SyscallError { io_error, .. }), _)
            | (_, Some(ProgramError::LoadError { io_error, .. })) => Some(io_error),
            _ => error.downcast_ref::<io::Error>(),
        };
        let io = io.or_else(|| match error.downcast_ref::<MapError>() {
            Some(MapError::CreateError { io_error, .. }) => Some(io_error),
            _ => None,
        });
        if io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        next = match error.downcast_ref::<EbpfError>() {
            Some(EbpfError::MapError(inner)) => Some(inner),
            Some(EbpfError::ProgramError(inner)) => Some(inner),
            Some(EbpfError::BtfError(inner)) => Some(inner),
            _ => match error.downcast_ref::<ProgramError>() {
                Some(ProgramError::SyscallError(inner)) => Some(inner),
                Some(ProgramError::MapError(inner)) => Some(inner),
                _ => error.source(),
            },
        };
    }
    false
}

/// The error and its causes, on one line and without the verifier's log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = first_line(error);
    let mut next = error.source();
    while let Some(error) = next {
        let line = first_line(error);
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        next = error.source();
    }
    text
}

fn first_line(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    tracing::debug!(%text, "BPF error in full");
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
