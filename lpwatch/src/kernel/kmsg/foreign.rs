//! The lines of the patching systems before and beside livepatch in the kernel
//! log.
//!
//! Sources: dynup/kpatch `kmod/core/core.c` (v0.1 to v0.9, prefix `kpatch: `);
//! `kernel/kgraft.c` of Jiri Slaby's kgraft branches and of SLE 12 (prefix
//! `kgr`); Ksplice 0.9.9 `kmodsrc/ksplice.c` (prefix `ksplice: `).

/// A system whose lines are recognized here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignSystem {
    Kpatch,
    Kgraft,
    Ksplice,
}

/// A line of a patching system that is not livepatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignLine {
    pub system: ForeignSystem,
    pub kind: ForeignKind,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// The system begins to apply or to revert a patch (kGraft).
    Begun { patch: String, patching: bool },
    /// A patch is applied (kpatch, Ksplice).
    Applied { patch: String },
    /// A patch is disabled or reversed.
    Reversed { patch: String },
    /// A transition is complete; the line names neither the patch nor the
    /// direction (kGraft).
    Succeeded,
    /// Tasks are left, and are checked again at this interval (kGraft; printed
    /// at each try before 2015, later once).
    StillInProgress { every_seconds: Option<u32> },
    /// An administrator forced it (kGraft).
    Forced,
    /// A function to be patched was on a task's stack, so the patch was not
    /// applied; the task follows (kpatch).
    FunctionBusy { function: LoggedFunction },
    /// The task of the line before, which held the patch up (kpatch).
    Holder { pid: u32, comm: String },
    /// A patch was given up, with the kernel's reason (Ksplice).
    Aborted {
        patch: Option<String>,
        reason: String,
    },
    /// Another error, in the system's words.
    Complaint { text: String },
}

/// A function by its name, or in kpatch before v0.2 by an address in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedFunction {
    Name(String),
    Address(u64),
}

/// Parses a log message (without time and level); `None` if it is not such a
/// line of one of these systems.
#[must_use]
pub fn parse_foreign(text: &str) -> Option<ForeignLine> {
    let text = text.trim_end();
    let of = |system, kind: Option<ForeignKind>| kind.map(|kind| ForeignLine { system, kind });
    if let Some(rest) = text.strip_prefix("kpatch: ") {
        of(ForeignSystem::Kpatch, kpatch(rest))
    } else if let Some(rest) = text.strip_prefix("ksplice: ") {
        of(ForeignSystem::Ksplice, ksplice(rest))
    } else if let Some(rest) = text.strip_prefix("kgr: ") {
        of(ForeignSystem::Kgraft, kgraft(rest))
    } else {
        let rest = text.strip_prefix("kgr ")?;
        of(ForeignSystem::Kgraft, kgraft_state(rest))
    }
}

fn kpatch(text: &str) -> Option<ForeignKind> {
    if let Some(what) = text.strip_prefix("activeness safety check failed for ") {
        return Some(ForeignKind::FunctionBusy {
            function: busy(what)?,
        });
    }
    if let Some(rest) = text.strip_prefix("PID: ") {
        let (pid, comm) = rest.split_once(" Comm: ")?;
        let sleeper = comm.strip_suffix(" is sleeping on the patched function.");
        return Some(ForeignKind::Holder {
            pid: pid.trim().parse().ok()?,
            comm: sleeper.unwrap_or(comm).to_owned(),
        });
    }
    if let Some(patch) = quoted(text, "loaded patch module ") {
        return Some(ForeignKind::Applied { patch });
    }
    if let Some(patch) = quoted(text, "unloaded patch module ") {
        return Some(ForeignKind::Reversed { patch });
    }
    complaint(
        text,
        &[
            "can't ",
            "unable to ",
            "base kernel mismatch",
            "invalid ",
            "unsupported ",
            "bad dynrela ",
            "write to ",
        ],
    )
}

/// `f`, `'f()'`, `function at address 0x…` or `function at address '…()'`.
fn busy(what: &str) -> Option<LoggedFunction> {
    let bare = |text: &str| {
        let text = text.trim_matches('\'');
        text.strip_suffix("()").unwrap_or(text).to_owned()
    };
    if let Some(address) = what.strip_prefix("function at address ") {
        let address = bare(address);
        let digits = address.strip_prefix("0x").unwrap_or(&address);
        return u64::from_str_radix(digits, 16)
            .ok()
            .map(LoggedFunction::Address);
    }
    let name = bare(what);
    (!name.is_empty()).then_some(LoggedFunction::Name(name))
}

fn kgraft(text: &str) -> Option<ForeignKind> {
    if let Some(patch) = quoted(text, "applying patch ") {
        let patching = true;
        return Some(ForeignKind::Begun { patch, patching });
    }
    if let Some(patch) = quoted(text, "reverting patch ") {
        let patching = false;
        return Some(ForeignKind::Begun { patch, patching });
    }
    if text == "all processes marked as migrated on admin's request" {
        return Some(ForeignKind::Forced);
    }
    complaint(
        text,
        &[
            "can't ",
            "cannot ",
            "function ",
            "finalization ",
            "finalize ",
            "delayed patching ",
            "disabling ",
            "continual revert ",
            "we got out of bounds ",
        ],
    )
}

/// Lines that begin with `kgr` and no colon.
fn kgraft_state(text: &str) -> Option<ForeignKind> {
    if text == "succeeded" {
        return Some(ForeignKind::Succeeded);
    }
    let rest = text
        .strip_prefix("still in progress after timeout")
        .or_else(|| text.strip_prefix("failed after timeout"))?;
    let digits = rest.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = digits.find(|letter: char| !letter.is_ascii_digit());
    let number = digits.get(..end.unwrap_or(digits.len()))?;
    Some(ForeignKind::StillInProgress {
        every_seconds: number.parse().ok(),
    })
}

fn ksplice(text: &str) -> Option<ForeignKind> {
    if let Some(rest) = text.strip_prefix("Update ") {
        if let Some(patch) = rest.strip_suffix(" applied successfully") {
            let patch = patch.to_owned();
            return Some(ForeignKind::Applied { patch });
        }
        let patch = rest.strip_suffix(" reversed successfully")?.to_owned();
        return Some(ForeignKind::Reversed { patch });
    }
    if let Some(rest) = text.strip_prefix("Aborted") {
        let rest = rest.trim_start();
        // `Aborted. (reason)` of old, `Aborted <id>.  reason` since.
        let (patch, reason) = if let Some(reason) = rest.strip_prefix('.') {
            (None, reason)
        } else {
            let (patch, reason) = rest.split_once('.')?;
            (Some(patch.to_owned()), reason)
        };
        let reason = reason.trim();
        let inner = reason
            .strip_prefix('(')
            .and_then(|reason| reason.strip_suffix(')'));
        return Some(ForeignKind::Aborted {
            patch,
            reason: inner.unwrap_or(reason).to_owned(),
        });
    }
    complaint(text, &["Failed to "])
}

fn complaint(text: &str, beginnings: &[&str]) -> Option<ForeignKind> {
    let known = beginnings
        .iter()
        .any(|beginning| text.starts_with(beginning));
    known.then(|| ForeignKind::Complaint {
        text: text.to_owned(),
    })
}

/// The name in quotes after these words.
fn quoted(text: &str, before: &str) -> Option<String> {
    let name = text
        .strip_prefix(before)?
        .strip_prefix('\'')?
        .strip_suffix('\'')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests;
