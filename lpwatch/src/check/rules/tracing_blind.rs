//! Tracing that would see nothing of a patched function, and tracing that would
//! keep the patch from having an effect.

use crate::{
    check::{
        Ground,
        facts::hooks::{Hook, HookKind, KprobePlace},
    },
    kernel::patch_file::Machine,
    model::{calls::FunctionId, check::CheckFinding, snapshot::Severity},
};

use super::{
    Rule,
    hooked::{capital, described, foreign, is_first, new_function, place, removal},
};

pub(super) const RULE: Rule = Rule {
    id: "tracing_blind",
    title: "tracing and the patch leave each other in effect",
    background: "\
A patched function is left at its entry: the old body is not run any more, by no task that has \
switched. A kprobe inside that body stays armed and never fires, and no error tells of it. A \
kprobe at the entry, a return probe, and a BPF program (fentry, fexit) on x86 and arm64 go on to \
see every call. Found on Debian's 5.10 and 6.12, with three calls before the patch and four after: \
a kprobe at the entry and a return probe counted seven, one behind the entry three.

On other processors it is worse (7.2 was tried):

  hook on the function    s390x                      ppc64le
  fentry                  the original runs again,   never fires once patched
                          the patch is off
  fexit                   sees every call            never fires once patched
  kprobe at the entry,
  placed before           the original runs          sees every call
  placed after            sees every call            sees every call

A kprobe can also send calls elsewhere by itself. One placed by a kernel module before the patch \
has the last word then: the patch is enabled and its code never runs. No file of the kernel tells \
such a probe from one that only looks on; `lpwatch verify` measures whether the new code runs.",
    sources: &[
        "Documentation/livepatch/livepatch.rst, Limitations: kprobes in the original function",
        "commit 0bc11ed5ab60 (5.4): kprobes: Allow kprobes coexist with livepatch",
        "kernel/livepatch/patch.c, klp_ftrace_handler (5.10 to 7.3)",
        "linuxppc issue 485: fentry on livepatched functions",
    ],
    judge,
};

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    foreign(ground)
        .filter_map(|(function, hook)| finding(ground, function, hook))
        .collect()
}

fn finding(ground: &Ground<'_>, function: &FunctionId, hook: &Hook) -> Option<CheckFinding> {
    let machine = ground.patch.machine;
    match (&hook.kind, machine) {
        (HookKind::Kprobe(at), _) if is_behind_entry(at, machine) => {
            Some(blind_kprobe(ground, function, hook, at))
        }
        (HookKind::Kprobe(_), Machine::S390x) => {
            is_first(ground, function).then(|| switches_off(function, hook))
        }
        (HookKind::Kprobe(_), _) => may_redirect(ground, function, hook),
        (HookKind::Fentry, Machine::S390x) => Some(switches_off(function, hook)),
        (HookKind::Trampoline, Machine::S390x) => Some(may_switch_off(function, hook)),
        (
            HookKind::Fentry | HookKind::Fexit | HookKind::FmodRet | HookKind::Trampoline,
            Machine::Ppc64 | Machine::Ppc64le,
        ) => Some(never_fires(function, hook)),
        (
            HookKind::Fentry
            | HookKind::Fexit
            | HookKind::FmodRet
            | HookKind::Lsm
            | HookKind::Trampoline
            | HookKind::Kretprobe
            | HookKind::Redirect { .. }
            | HookKind::Direct,
            _,
        ) => None,
    }
}

/// Whether a patch leaves the function before it comes to this place.
fn is_behind_entry(at: &KprobePlace, machine: Machine) -> bool {
    match at {
        KprobePlace::Entry => false,
        KprobePlace::Part(_) => true,
        KprobePlace::Offset(offset) => entry_bytes(machine).is_some_and(|entry| *offset >= entry),
    }
}

/// How far behind its beginning a function is surely left. The kernel lets no
/// probe stand within the call of the function tracer itself, so nothing is
/// lost by the shorter form where a processor has two.
fn entry_bytes(machine: Machine) -> Option<u64> {
    match machine {
        // `call` (5 bytes), which may follow `endbr64` (4).
        Machine::X86_64 => Some(5),
        // Two instructions, which may follow `bti`.
        Machine::Aarch64 => Some(8),
        // `brcl`.
        Machine::S390x => Some(6),
        // The TOC is set up, then `mflr` and `bl`.
        Machine::Ppc64 | Machine::Ppc64le => Some(16),
        Machine::Riscv64 | Machine::Loongarch64 => None,
    }
}

fn blind_kprobe(
    ground: &Ground<'_>,
    function: &FunctionId,
    hook: &Hook,
    at: &KprobePlace,
) -> CheckFinding {
    let what = capital(&described(hook));
    let at = match at {
        KprobePlace::Part(symbol) => format!("in {symbol}, a part of {}", place(function)),
        KprobePlace::Offset(offset) => format!("inside {}, at +{offset:#x}", place(function)),
        KprobePlace::Entry => format!("at {}", place(function)),
    };
    let ending = if ground.is_loaded {
        "the patch leaves that code out, and it sees no call"
    } else {
        "once patched, that code is left out, and it sees no call any more"
    };
    let text = format!("{what} stands {at}: {ending}.");
    let instead = match new_function(ground.patch, function) {
        Some(new) => format!(
            "Place it anew once the patch is loaded, at the function's entry or in {new}, where \
             offsets differ."
        ),
        None => "Place it anew at the function's entry or in the new function.".to_owned(),
    };
    let mut finding = found(Severity::Warning, text, hook);
    finding.remedy = vec![instead];
    finding
}

/// A module's probe may send calls elsewhere. One with a name is of tracefs,
/// which only looks on; one beside an IPMODIFY user is refused anyway.
fn may_redirect(ground: &Ground<'_>, function: &FunctionId, hook: &Hook) -> Option<CheckFinding> {
    let mut others = ground.facts.hooks.at.get(function).into_iter().flatten();
    let is_held = others.any(|other| matches!(other.kind, HookKind::Redirect { .. }));
    if hook.owner.name.is_some() || is_held || !is_first(ground, function) {
        return None;
    }
    let text = format!(
        "{} stands at the entry of {}: if it is a module's, it may send calls elsewhere, and the \
         patch would be without effect.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Note, text, hook);
    finding.remedy = vec![format!(
        "After loading, see whether the new code runs: lpwatch verify {}",
        ground.patch.name
    )];
    Some(finding)
}

fn switches_off(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} is attached to {}: on this processor the original runs as long as it is, and the \
         patch would be enabled without effect.",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Danger, text, hook)
}

fn may_switch_off(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} stands at {}: if its program is of kind fentry, the original runs on this processor \
         as long as it is attached, and the patch would be without effect.",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Warning, text, hook)
}

fn never_fires(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} is attached to {}: on this processor it sees no call once the function is patched.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Warning, text, hook);
    finding.remedy =
        vec!["Use a kprobe at the function's entry, which goes on to see every call.".to_owned()];
    finding
}

fn found(severity: Severity, text: String, hook: &Hook) -> CheckFinding {
    CheckFinding {
        rule: RULE.id.to_owned(),
        severity,
        text,
        evidence: hook.evidence.clone(),
        remedy: removal(hook),
        refusal: None,
    }
}

#[cfg(test)]
mod tests;
