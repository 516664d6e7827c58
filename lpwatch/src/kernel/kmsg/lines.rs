//! The lines of livepatch in the kernel log.
//!
//! Source: the `pr_notice`, `pr_warn` and `pr_err` of `kernel/livepatch/*.c`,
//! 4.12 to 7.3, prefixed `livepatch: `. Debug lines (dynamic debug, which
//! lpwatch must never switch on) are not recognized here.

/// One line of livepatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LivepatchLine {
    /// A patch was accepted and is being enabled.
    Enabling { patch: String },
    /// A transition starts, or starts again in the other direction.
    Starting { patch: String, patching: bool },
    /// A transition ended. "unpatching complete" also ends an enabling that
    /// failed.
    Complete { patch: String, patching: bool },
    /// Tasks that remain get the fake signal. Printed once per start, although
    /// the signals repeat every 15 s.
    Signaling,
    /// An administrator forced the transition; the line says "patched" in both
    /// directions.
    Forcing,
    /// A module that has patches is being loaded.
    Applying { patch: String, object: String },
    /// A module that has patches is being unloaded.
    Reverting { patch: String, object: String },
    /// A patch could not be prepared for, or applied to, a module that is being
    /// loaded. The errno is positive.
    ObjectFailed {
        patch: String,
        object: String,
        errno: u32,
    },
    /// The kernel refuses to load the module, because the patch failed for it.
    ModuleRefused { patch: String, module: String },
    /// A refusal or another warning; `patch` if the line names it.
    Complaint { patch: Option<String>, text: String },
}

/// Parses a log message (without time and level); `None` if it is not such a
/// line of livepatch.
#[must_use]
pub fn parse_livepatch(text: &str) -> Option<LivepatchLine> {
    let text = text.strip_prefix("livepatch: ")?.trim_end();
    match text {
        "signaling remaining tasks" => return Some(LivepatchLine::Signaling),
        "forcing remaining tasks to the patched state" => return Some(LivepatchLine::Forcing),
        _ => {}
    }
    if let Some(patch) = between(text, "enabling patch '", "'") {
        return Some(LivepatchLine::Enabling { patch });
    }
    if let Some((patch, object)) = two_between(text, "applying patch '", "' to loading module '") {
        return Some(LivepatchLine::Applying { patch, object });
    }
    if let Some((patch, object)) = two_between(text, "reverting patch '", "' on unloading module '")
    {
        return Some(LivepatchLine::Reverting { patch, object });
    }
    parse_transition(text)
        .or_else(|| parse_refusal(text))
        .or_else(|| parse_complaint(text))
}

/// The lines of `klp_module_coming` on a patch that does not fit a module.
fn parse_refusal(text: &str) -> Option<LivepatchLine> {
    let failed = text
        .strip_prefix("failed to initialize patch '")
        .and_then(|rest| rest.split_once("' for module '"))
        .or_else(|| {
            let rest = text.strip_prefix("failed to apply patch '")?;
            rest.split_once("' to module '")
        });
    if let Some((patch, rest)) = failed {
        let (object, errno) = rest.strip_suffix(')')?.rsplit_once("' (-")?;
        return Some(LivepatchLine::ObjectFailed {
            patch: patch.to_owned(),
            object: object.to_owned(),
            errno: errno.parse().ok()?,
        });
    }
    let (patch, rest) = text
        .strip_prefix("patch '")?
        .split_once("' failed for module '")?;
    let (module, _) = rest.split_once("', refusing to load module '")?;
    Some(LivepatchLine::ModuleRefused {
        patch: patch.to_owned(),
        module: module.to_owned(),
    })
}

/// `'patch': what`; up to 4.18 a start reads `'patch': patching...`.
fn parse_transition(text: &str) -> Option<LivepatchLine> {
    let (patch, what) = text.strip_prefix('\'')?.split_once("': ")?;
    let patch = patch.to_owned();
    match what {
        "starting patching transition" | "patching..." => Some(LivepatchLine::Starting {
            patch,
            patching: true,
        }),
        "starting unpatching transition" | "unpatching..." => Some(LivepatchLine::Starting {
            patch,
            patching: false,
        }),
        "patching complete" => Some(LivepatchLine::Complete {
            patch,
            patching: true,
        }),
        "unpatching complete" => Some(LivepatchLine::Complete {
            patch,
            patching: false,
        }),
        _ => None,
    }
}

/// The beginnings of warnings and errors, and what ends the patch's name if it
/// follows.
const COMPLAINTS: [(&str, Option<&str>); 15] = [
    ("failed to enable patch '", Some("'")),
    ("failed to initialize patch '", Some("' for module '")),
    ("failed to apply patch '", Some("' to module '")),
    ("patch '", Some("' failed for module '")),
    ("Livepatch patch (", Some(") is not compatible")),
    ("module ", Some(" is not marked as a livepatch module")),
    ("pre-patch callback failed for object '", None),
    ("failed to ", None),
    ("symbol ", None),
    ("section ", None),
    ("unresolvable ambiguity for symbol '", None),
    ("kallsyms ", None),
    ("invalid access to ", None),
    ("This architecture doesn't have support for", None),
    ("The livepatch transition may never complete", None),
];

fn parse_complaint(text: &str) -> Option<LivepatchLine> {
    COMPLAINTS.iter().find_map(|(beginning, name_end)| {
        let rest = text.strip_prefix(beginning)?;
        let patch = match name_end {
            Some(end) => Some(rest.split_once(end)?.0.to_owned()),
            None => None,
        };
        Some(LivepatchLine::Complaint {
            patch,
            text: text.to_owned(),
        })
    })
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let name = text.strip_prefix(before)?.strip_suffix(after)?;
    Some(name.to_owned())
}

fn two_between(text: &str, before: &str, middle: &str) -> Option<(String, String)> {
    let (first, second) = text
        .strip_prefix(before)?
        .strip_suffix('\'')?
        .split_once(middle)?;
    Some((first.to_owned(), second.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> Option<String> {
        match parse_livepatch(&format!("livepatch: {text}")) {
            Some(LivepatchLine::Complaint { patch, text: kept }) => {
                assert_eq!(kept, text);
                patch
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_life_of_a_patch() {
        let patch = || "lp".to_owned();
        let object = || "ext4".to_owned();
        for (text, line) in [
            (
                "enabling patch 'lp'",
                LivepatchLine::Enabling { patch: patch() },
            ),
            (
                "'lp': starting patching transition",
                LivepatchLine::Starting {
                    patch: patch(),
                    patching: true,
                },
            ),
            (
                "'lp': starting unpatching transition",
                LivepatchLine::Starting {
                    patch: patch(),
                    patching: false,
                },
            ),
            (
                "'lp': patching complete",
                LivepatchLine::Complete {
                    patch: patch(),
                    patching: true,
                },
            ),
            (
                "'lp': unpatching complete",
                LivepatchLine::Complete {
                    patch: patch(),
                    patching: false,
                },
            ),
            ("signaling remaining tasks", LivepatchLine::Signaling),
            (
                "forcing remaining tasks to the patched state",
                LivepatchLine::Forcing,
            ),
            (
                "applying patch 'lp' to loading module 'ext4'",
                LivepatchLine::Applying {
                    patch: patch(),
                    object: object(),
                },
            ),
            (
                "reverting patch 'lp' on unloading module 'ext4'",
                LivepatchLine::Reverting {
                    patch: patch(),
                    object: object(),
                },
            ),
            (
                "failed to initialize patch 'lp' for module 'ext4' (-22)",
                LivepatchLine::ObjectFailed {
                    patch: patch(),
                    object: object(),
                    errno: 22,
                },
            ),
            (
                "failed to apply patch 'lp' to module 'ext4' (-16)",
                LivepatchLine::ObjectFailed {
                    patch: patch(),
                    object: object(),
                    errno: 16,
                },
            ),
            (
                "patch 'lp' failed for module 'ext4', refusing to load module 'ext4'",
                LivepatchLine::ModuleRefused {
                    patch: patch(),
                    module: object(),
                },
            ),
            // 4.12 to 4.18
            (
                "'lp': patching...",
                LivepatchLine::Starting {
                    patch: patch(),
                    patching: true,
                },
            ),
            (
                "'lp': unpatching...",
                LivepatchLine::Starting {
                    patch: patch(),
                    patching: false,
                },
            ),
        ] {
            assert_eq!(parse_livepatch(&format!("livepatch: {text}\n")), Some(line));
        }
    }

    #[test]
    fn a_complaint_names_its_patch_where_the_kernel_does() {
        for text in [
            "failed to enable patch 'lp'",
            // Not of the form that the kernel has today.
            "failed to initialize patch 'lp' for module 'ext4'",
            "patch 'lp' failed for module 'ext4'",
            "Livepatch patch (lp) is not compatible with the already installed livepatches.",
            "module lp is not marked as a livepatch module",
        ] {
            assert_eq!(complaint(text).as_deref(), Some("lp"), "{text}");
        }
        for text in [
            "pre-patch callback failed for object 'vmlinux'",
            "failed to patch object 'vmlinux'",
            "symbol 'no_such' not found in symbol table",
            "unresolvable ambiguity for symbol 'f' in object 'vmlinux'",
            "failed to register ftrace handler for function 'f' (-16)",
            "failed to find location for function 'f'",
            "symbol f at rela sec 3 idx 4 is not marked as a livepatch symbol",
            "symbol position 2 for symbol 'f' in object 'vmlinux' not found",
            "section .klp.rela has an incorrectly formatted name",
            "invalid access to vmlinux symbol 'f' from module-specific livepatch relocation section",
            "kallsyms size lookup failed for 'f' replacement",
            "The livepatch transition may never complete.",
            "This architecture doesn't have support for the livepatch consistency model.",
        ] {
            assert_eq!(complaint(text), None, "{text}");
        }
    }

    #[test]
    fn debug_lines_and_others_are_nothing() {
        for text in [
            "livepatch: klp_try_switch_task: sleep:12 is running",
            "livepatch: 'lp': initializing patching transition",
            "livepatch: 'lp': reversing transition from patching to unpatching",
            "livepatch: 'lp': completing unpatching transition",
            "livepatch: enabling patch 'lp",
            "livepatch: ",
            "livepatch_sample: tainting kernel with TAINT_LIVEPATCH",
            "systemd[1]: livepatch: enabling patch 'lp'",
            "",
        ] {
            assert_eq!(parse_livepatch(text), None, "{text}");
        }
    }
}
