//! The kernel's lockdown: what it denies to everyone, root included
//! (security/lockdown/lockdown.c).
//!
//! Source: `<sysfs>/kernel/security/lockdown`. The level only ever rises.

use std::{io, path::Path};

use rustix::io::Errno;

use super::offers::Reading;

/// A level that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockdown {
    /// The kernel cannot be changed: debugfs is closed, patches must be signed.
    Integrity,
    /// Nor can its memory be read: no kprobes, no tracefs, and no BPF program that
    /// reads memory through a helper.
    Confidentiality,
}

impl Lockdown {
    /// The level; `None` if there is none or it cannot be read.
    #[must_use]
    pub fn read(sysfs: &Path) -> Option<Self> {
        let levels = super::offers::text(&sysfs.join("kernel/security/lockdown"));
        let Reading::Found(levels) = levels else {
            return None;
        };
        match super::offers::chosen(&levels) {
            Reading::Found(level) if level == "integrity" => Some(Self::Integrity),
            Reading::Found(level) if level == "confidentiality" => Some(Self::Confidentiality),
            _ => None,
        }
    }

    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        }
    }
}

/// Whether programs may not read the kernel's memory.
#[must_use]
pub fn hides_memory(sysfs: &Path) -> bool {
    Lockdown::read(sysfs) == Some(Lockdown::Confidentiality)
}

/// The level that makes a file of debugfs or tracefs unreadable, if that is why
/// this error occurred.
pub(super) fn cause(path: &Path, error: &io::Error) -> Option<Lockdown> {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let mut above = path.ancestors();
    let mount = above.find(|place| {
        place.ends_with("kernel/tracing")
            || place.ends_with("kernel/debug/tracing")
            || place.ends_with("kernel/debug")
    })?;
    let is_tracefs = mount.ends_with("tracing");
    let sysfs = mount.ancestors().find(|place| place.ends_with("kernel"))?;
    let level = Lockdown::read(sysfs.parent()?)?;
    match level {
        // A kernel that booted with it makes no files there at all.
        Lockdown::Confidentiality if is_tracefs => {
            let kinds = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
            kinds.contains(&error.kind()).then_some(level)
        }
        // The modes of the files answer with EACCES.
        _ if !is_tracefs && errno == Some(Errno::PERM) => Some(level),
        Lockdown::Integrity | Lockdown::Confidentiality => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(level: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let security = folder.path().join("kernel/security");
        std::fs::create_dir_all(&security).unwrap();
        std::fs::write(security.join("lockdown"), level).unwrap();
        folder
    }

    #[test]
    fn the_level_in_brackets_is_in_force() {
        let read = |levels| Lockdown::read(tree(levels).path());
        assert_eq!(read("[none] integrity confidentiality\n"), None);
        assert_eq!(
            read("none [integrity] confidentiality\n"),
            Some(Lockdown::Integrity)
        );
        assert_eq!(
            read("none integrity [confidentiality]\n"),
            Some(Lockdown::Confidentiality)
        );
        assert_eq!(Lockdown::read(Path::new("/nowhere")), None);
    }

    #[test]
    fn lockdown_is_the_cause_only_where_it_closes_files() {
        let denied = io::Error::from_raw_os_error(Errno::PERM.raw_os_error());
        let mode = io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        let absent = io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        let locked = tree("none integrity [confidentiality]");
        let at = |path: &str| locked.path().join(path);
        let all = Some(Lockdown::Confidentiality);
        let trace = at("kernel/tracing/kprobe_events");
        assert_eq!(cause(&trace, &denied), all);
        assert_eq!(cause(&trace, &absent), all);
        assert_eq!(cause(&trace, &mode), all);
        assert_eq!(cause(&at("kernel/debug/tracing/x"), &absent), all);
        assert_eq!(cause(&at("kernel/debug/kprobes/list"), &denied), all);
        assert_eq!(cause(&at("kernel/debug/kprobes/list"), &mode), None);
        assert_eq!(cause(&at("kernel/livepatch/p/enabled"), &denied), None);

        let locked = tree("none [integrity] confidentiality");
        let at = |path: &str| locked.path().join(path);
        let some = Some(Lockdown::Integrity);
        assert_eq!(cause(&at("kernel/debug/kprobes/enabled"), &denied), some);
        assert_eq!(cause(&at("kernel/tracing/kprobe_events"), &absent), None);
    }
}
