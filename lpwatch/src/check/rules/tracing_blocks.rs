//! Tracing that keeps a patch from loading, or its transition from completing.

use crate::{
    check::{
        Ground,
        facts::hooks::{Bears, Hook, HookKind},
    },
    kernel::patch_file::Machine,
    model::{
        calls::FunctionId,
        check::{CheckFinding, Refusal},
        snapshot::Severity,
    },
};

use super::{
    Rule,
    errno::EBUSY,
    hooked::{capital, described, foreign, is_first, place, removal},
};

pub(super) const RULE: Rule = Rule {
    id: "tracing_blocks",
    title: "no tracing stands in the way",
    background: "\
A live patch hangs at its function's entry, on the function tracer, and sends calls elsewhere \
(IPMODIFY). The tracer takes one such user for each function: where another one is, loading the \
patch fails with EBUSY. A kprobe with a post handler is one (fault injection sets such probes, and \
so may kernel modules), and a module's own hook can be one. \
Before 6.0 everything that is called directly counts as one, and so every BPF program of kind \
fentry, fexit, fmod_ret or lsm. A patch that is there already is in nobody's way: patches of one \
function share their place.

An fexit, fmod_ret or lsm program calls the traced function, so its trampoline stays on the stack \
of a task that sleeps in there. Until 6.19 the x86 unwinder does not know such frames, calls the \
stack unreliable, and the task does not switch. It is freed by the kernel's signal after 15 s if \
it is a user task, and not at all if it is a kernel thread. Return probes did the same before 5.15. \
An fentry program leaves before the function runs.

With a task asleep in the hooked function, found on Debian's kernels:

  hook                    5.10     6.1      6.12     7.2
  fexit, fmod_ret         stalls   stalls   stalls   harmless
  kretprobe               stalls   harmless harmless harmless
  fentry                  harmless harmless harmless harmless
  BPF on the function
  to be patched           EBUSY    loads    loads    loads
  kprobe on it            loads    loads    loads    loads
  the same with a
  post handler            EBUSY    EBUSY    EBUSY    EBUSY

On powerpc return probes make stacks unreliable in every kernel that was tried.",
    sources: &[
        "kernel/trace/ftrace.c, __ftrace_hash_update_ipmodify (5.10 to 7.3)",
        "kernel/trace/ftrace.c, prepare_direct_functions_for_ipmodify (6.0): EBUSY without ops_func",
        "commit 00963a2e75a8 (6.0): bpf: Support bpf_trampoline on functions with IPMODIFY",
        "commits ca45c84afb8c and 01bc3b6db18d (6.19): the unwinder knows the frames of BPF",
        "commit 0bc11ed5ab60 (5.4): kprobes: Allow kprobes coexist with livepatch",
    ],
    judge,
};

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    foreign(ground)
        .filter_map(|(function, hook)| finding(ground, function, hook))
        .collect()
}

fn finding(ground: &Ground<'_>, function: &FunctionId, hook: &Hook) -> Option<CheckFinding> {
    let bears = ground.facts.hooks.bears;
    let is_first = is_first(ground, function);
    let machine = ground.patch.machine;
    match hook.kind {
        HookKind::Redirect { .. } | HookKind::Direct if is_first => Some(refused(function, hook)),
        HookKind::Fentry
        | HookKind::Fexit
        | HookKind::FmodRet
        | HookKind::Lsm
        | HookKind::Trampoline
            if is_first && bears.trampolines != Some(true) =>
        {
            Some(not_shared(function, hook, bears))
        }
        HookKind::Fexit | HookKind::FmodRet | HookKind::Lsm
            if machine == Machine::X86_64 && bears.bpf_frames == Some(false) =>
        {
            Some(unreliable(function, hook))
        }
        HookKind::Trampoline if machine == Machine::X86_64 && bears.bpf_frames == Some(false) => {
            Some(perhaps_unreliable(function, hook))
        }
        HookKind::Kretprobe if returns_mislead(machine, bears) => Some(unreliable(function, hook)),
        HookKind::Fentry
        | HookKind::Fexit
        | HookKind::FmodRet
        | HookKind::Lsm
        | HookKind::Trampoline
        | HookKind::Kprobe(_)
        | HookKind::Kretprobe
        | HookKind::Redirect { .. }
        | HookKind::Direct => None,
    }
}

/// Whether a return probe on the stack makes it unreliable.
fn returns_mislead(machine: Machine, bears: Bears) -> bool {
    match machine {
        Machine::X86_64 | Machine::Aarch64 | Machine::S390x => bears.return_probes == Some(false),
        Machine::Ppc64 | Machine::Ppc64le => true,
        // Not known.
        Machine::Riscv64 | Machine::Loongarch64 => false,
    }
}

fn refused(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} holds {}: the kernel would refuse this patch (EBUSY).",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Danger, text, hook, Some(EBUSY))
}

/// `bears.trampolines` is `None` where it could not be read.
fn not_shared(function: &FunctionId, hook: &Hook, bears: Bears) -> CheckFinding {
    let what = capital(&described(hook));
    let place = place(function);
    if bears.trampolines.is_some() {
        let text = format!(
            "{what} is attached to {place}: this kernel lets BPF and a patch share no function, \
             and would refuse this patch (EBUSY)."
        );
        return found(Severity::Danger, text, hook, Some(EBUSY));
    }
    let text = format!(
        "{what} is attached to {place}: a kernel before 6.0 would refuse this patch (EBUSY), and \
         whether this one does is not known."
    );
    found(Severity::Warning, text, hook, None)
}

fn unreliable(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} makes the stacks of tasks asleep in {} unreliable: the transition would wait for them.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Warning, text, hook, None);
    finding.remedy.push(
        "If it has to stay: a user task is freed by the kernel's signal after 15 s, a kernel \
         thread is not."
            .to_owned(),
    );
    finding
}

fn perhaps_unreliable(function: &FunctionId, hook: &Hook) -> CheckFinding {
    let text = format!(
        "{} stands at {}: if its program is of kind fexit or fmod_ret, the transition would wait \
         for tasks asleep in there.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Note, text, hook, None);
    finding.remedy = vec!["See its kind: bpftool link list".to_owned()];
    finding
}

fn found(severity: Severity, text: String, hook: &Hook, errno: Option<u32>) -> CheckFinding {
    CheckFinding {
        rule: RULE.id.to_owned(),
        severity,
        text,
        evidence: hook.evidence.clone(),
        remedy: removal(hook),
        refusal: errno.map(|errno| Refusal { errno }),
    }
}

#[cfg(test)]
mod tests;
