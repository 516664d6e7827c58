//! The kernel as files: what a running (or recorded) kernel says of its live
//! patches, tasks, symbols, types and log.
//!
//! Everything is read below [`Roots`], so that a tree recorded on one host can
//! be read on another. Nothing here knows of the model, of BPF or of how things
//! are shown: plain facts go out, and a fact the kernel does not give is `None`.

use std::io;
use std::path::{Path, PathBuf};

pub mod bpf_owners;
pub mod btf;
pub mod config;
pub mod ending;
pub mod files;
pub mod ftrace;
pub mod ftrace_users;
pub mod host;
pub mod installed;
pub mod kallsyms;
pub mod kernelcare;
pub mod kgraft;
pub mod kgraft_tasks;
pub mod kmsg;
pub mod kpatch_core;
pub mod kprobes;
pub mod kretprobes;
pub mod ksplice;
pub mod livepatch;
pub mod lockdown;
pub mod module_files;
pub mod modules;
pub mod offers;
pub mod openeuler;
pub mod patch_file;
mod probe_events;
pub mod real_time;
pub mod task_detail;
pub mod tasks;
pub mod tool;
pub mod traceable;

/// Where sysfs and procfs are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub sysfs: PathBuf,
    pub procfs: PathBuf,
}

impl Default for Roots {
    /// The running kernel: `/sys` and `/proc`.
    fn default() -> Self {
        Self {
            sysfs: PathBuf::from("/sys"),
            procfs: PathBuf::from("/proc"),
        }
    }
}

impl Roots {
    /// Whether both roots are the running kernel's own. Only then may what
    /// lies outside them (`/dev/kmsg`, `/boot`, BPF) be taken for the same host.
    #[must_use]
    pub fn is_live(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a file of the kernel could not be read.
///
/// The message says what happened and what to do; the operating system's word
/// is the error's source, so print the whole chain (`{:#}` of `anyhow`).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}{}", .path.display(), hint(.source))]
    Io { path: PathBuf, source: io::Error },

    #[error("no permission to read {}: {remedy}", .path.display())]
    NoPermission { path: PathBuf, remedy: &'static str },

    #[error("the kernel's lockdown ({level}) closes {} to everyone, root included", .path.display())]
    LockedDown { path: PathBuf, level: &'static str },

    #[error("{} does not have the form lpwatch knows: {what}; please report this with the kernel's release", .path.display())]
    Malformed { path: PathBuf, what: String },

    #[error(
        "no task below {} has a patch_state file: the kernel is built without CONFIG_LIVEPATCH or is older than 4.12; nothing can be told about its tasks",
        .procfs.display()
    )]
    NoPatchState { procfs: PathBuf },
}

impl ReadError {
    /// Whether more privilege would help.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::NoPermission { .. } => true,
            Self::Io { .. }
            | Self::LockedDown { .. }
            | Self::Malformed { .. }
            | Self::NoPatchState { .. } => false,
        }
    }

    /// Wraps what the operating system said of `path`; `remedy` says what is
    /// needed where it said EPERM or EACCES.
    fn from_io(path: &Path, source: io::Error, remedy: &'static str) -> Self {
        if let Some(level) = lockdown::cause(path, &source) {
            return Self::LockedDown {
                path: path.to_owned(),
                level: level.name(),
            };
        }
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::PermissionDenied {
            Self::NoPermission { path, remedy }
        } else {
            Self::Io { path, source }
        }
    }
}

/// What to try about an error without a clear cause.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => " (is the file system mounted there, and is the root right?)",
        io::ErrorKind::NotADirectory => " (is the root right?)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_roots_are_live() {
        assert!(Roots::default().is_live());
        let recorded = Roots {
            procfs: PathBuf::from("/tmp/recorded/proc"),
            ..Roots::default()
        };
        assert!(!recorded.is_live());
    }

    #[test]
    fn permission_is_told_from_other_errors_and_says_what_is_needed() {
        let denied = io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error());
        let error = ReadError::from_io(Path::new("/dev/kmsg"), denied, "CAP_SYSLOG is needed");
        assert!(error.is_permission());
        assert_eq!(
            error.to_string(),
            "no permission to read /dev/kmsg: CAP_SYSLOG is needed"
        );

        let absent = io::Error::from(io::ErrorKind::NotFound);
        let error = ReadError::from_io(Path::new("/proc"), absent, "root");
        assert!(!error.is_permission());
        assert!(error.to_string().starts_with("cannot read /proc (is "));
    }
}
