//! Tracing that would not see a patched function, and tracing that would make the
//! patch ineffective.

use crate::{
    check::{
        CheckContext,
        facts::hooks::{FoundHook, FoundHookKind, KprobePlace},
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
    title: "tracing and the patch do not disable each other",
    background: "\
livepatch redirects a patched function at its entry. A task that has switched no longer runs the old \
body. A kprobe inside that body stays armed but never fires, and the kernel reports no error. A \
kprobe at the entry, a return probe, and a BPF program (fentry, fexit) on x86 and arm64 still see \
every call. Measured on Debian's 5.10 and 6.12, with three calls before the patch and four after: a \
kprobe at the entry and a return probe counted seven, a kprobe behind the entry three.

Results on other processors, with 7.2:

  hook on the function    s390x                      ppc64le
  fentry                  the original runs again,   never fires once patched
                          the patch is off
  fexit                   sees every call            never fires once patched
  kprobe at the entry,
  placed before           the original runs          sees every call
  placed after            sees every call            sees every call

A kprobe can also redirect calls. If a kernel module placed such a probe before the patch, the probe \
prevails: the patch is enabled, but its code never runs. No kernel file distinguishes such a probe \
from one that only observes. `lpwatch verify` measures whether the new code runs.",
    sources: &[
        "Documentation/livepatch/livepatch.rst, Limitations: kprobes in the original function",
        "commit 0bc11ed5ab60 (5.4): kprobes: Allow kprobes coexist with livepatch",
        "kernel/livepatch/patch.c, klp_ftrace_handler (5.10 to 7.3)",
        "linuxppc issue 485: fentry on livepatched functions",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    foreign(context)
        .filter_map(|(function, hook)| finding(context, function, hook))
        .collect()
}

fn finding(
    context: &CheckContext<'_>,
    function: &FunctionId,
    hook: &FoundHook,
) -> Option<CheckFinding> {
    let machine = context.patch.machine;
    match (&hook.kind, machine) {
        (FoundHookKind::Kprobe(at), _) if is_behind_entry(at, machine) => {
            Some(blind_kprobe(context, function, hook, at))
        }
        (FoundHookKind::Kprobe(_), Machine::S390x) => {
            is_first(context, function).then(|| switches_off(function, hook))
        }
        (FoundHookKind::Kprobe(_), _) => may_redirect(context, function, hook),
        (FoundHookKind::Fentry, Machine::S390x) => Some(switches_off(function, hook)),
        (FoundHookKind::Trampoline, Machine::S390x) => Some(may_switch_off(function, hook)),
        (
            FoundHookKind::Fentry
            | FoundHookKind::Fexit
            | FoundHookKind::FmodRet
            | FoundHookKind::Trampoline,
            Machine::Ppc64 | Machine::Ppc64le,
        ) => Some(never_fires(function, hook)),
        (
            FoundHookKind::Fentry
            | FoundHookKind::Fexit
            | FoundHookKind::FmodRet
            | FoundHookKind::Lsm
            | FoundHookKind::Trampoline
            | FoundHookKind::Kretprobe
            | FoundHookKind::Redirect { .. }
            | FoundHookKind::Direct,
            _,
        ) => None,
    }
}

/// Whether a patched function is redirected before it reaches this place.
fn is_behind_entry(at: &KprobePlace, machine: Machine) -> bool {
    match at {
        KprobePlace::Entry => false,
        KprobePlace::Part(_) => true,
        KprobePlace::Offset(offset) => entry_bytes(machine).is_some_and(|entry| *offset >= entry),
    }
}

/// The offset behind which code of a patched function never runs. The kernel
/// allows no probe within the call of the function tracer, so the shorter form
/// is enough where a processor has two.
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
    context: &CheckContext<'_>,
    function: &FunctionId,
    hook: &FoundHook,
    at: &KprobePlace,
) -> CheckFinding {
    let what = capital(&described(hook));
    let at = match at {
        KprobePlace::Part(symbol) => format!("in {symbol}, a part of {}", place(function)),
        KprobePlace::Offset(offset) => format!("inside {}, at +{offset:#x}", place(function)),
        KprobePlace::Entry => format!("at {}", place(function)),
    };
    let ending = if context.is_loaded {
        "the patch skips that code, so it sees no call"
    } else {
        "once patched, that code is skipped and it sees no calls"
    };
    let text = format!("{what} is {at}: {ending}.");
    let instead = match new_function(context.patch, function) {
        Some(new) => format!(
            "After loading the patch, place it again at the function's entry or in {new}, where \
                 offsets differ."
        ),
        None => "Place it again at the function's entry or in the new function.".to_owned(),
    };
    let mut finding = found(Severity::Warning, text, hook);
    finding.remedy = vec![instead];
    finding
}

/// A module's probe may redirect calls. A probe with a name belongs to tracefs and
/// only observes; the kernel refuses one beside an IPMODIFY user anyway.
fn may_redirect(
    context: &CheckContext<'_>,
    function: &FunctionId,
    hook: &FoundHook,
) -> Option<CheckFinding> {
    let mut others = context.facts.hooks.at.get(function).into_iter().flatten();
    let is_held = others.any(|other| matches!(other.kind, FoundHookKind::Redirect { .. }));
    if hook.owner.name.is_some() || is_held || !is_first(context, function) {
        return None;
    }
    let text = format!(
        "{} is at the entry of {}: if a module placed it, it may redirect calls, and the \
         patch would be without effect.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Note, text, hook);
    finding.remedy = vec![format!(
        "After loading, check that the new code runs: lpwatch verify {}",
        context.patch.name
    )];
    Some(finding)
}

fn switches_off(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} is attached to {}: on this processor the original runs while it is attached, and the \
         patch would be enabled without effect.",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Danger, text, hook)
}

fn may_switch_off(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} is on {}: if its program is of kind fentry, the original runs on this processor \
         as long as it is attached, and the patch would be without effect.",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Warning, text, hook)
}

fn never_fires(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} is attached to {}: on this processor it sees no calls once the function is patched.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Warning, text, hook);
    finding.remedy =
        vec!["Use a kprobe at the function's entry: it still sees every call.".to_owned()];
    finding
}

fn found(severity: Severity, text: String, hook: &FoundHook) -> CheckFinding {
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
