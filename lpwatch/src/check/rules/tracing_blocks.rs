//! Tracing that prevents a patch from loading or its transition from completing.

use crate::{
    check::{
        CheckContext,
        facts::hooks::{FoundHook, FoundHookKind, HookSupport},
    },
    kernel::patch_file::Machine,
    model::{
        calls::FunctionId,
        check::{CheckFinding, LoadRefusal},
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
    title: "no tracing blocks the patch",
    background: "\
A live patch uses the function tracer at its function's entry to redirect calls (IPMODIFY). The \
tracer allows one such user for each function. If there is another one, loading the patch fails with \
EBUSY. A kprobe with a post handler is such a user (fault injection and kernel modules place them), \
and a module's own hook can be one. Before 6.0 every direct call counts as one, and so does every BPF \
program of kind fentry, fexit, fmod_ret or lsm. A loaded patch is no obstacle: patches of one function \
share their ftrace registration.

An fexit, fmod_ret or lsm program calls the traced function, so its trampoline stays on the stack \
of a task that sleeps in that function. Before 6.19 the x86 unwinder does not know such frames and \
reports the stack as unreliable, and the task does not switch. The kernel's signal after 15 s frees a \
user task, but not a kernel thread. Return probes had the same effect before 5.15. An fentry program \
returns before the function runs.

Results with a task asleep in the hooked function, on Debian's kernels:

  hook                    5.10     6.1      6.12     7.2
  fexit, fmod_ret         stalls   stalls   stalls   harmless
  kretprobe               stalls   harmless harmless harmless
  fentry                  harmless harmless harmless harmless
  BPF on the function
  to be patched           EBUSY    loads    loads    loads
  kprobe on it            loads    loads    loads    loads
  the same with a
  post handler            EBUSY    EBUSY    EBUSY    EBUSY

On powerpc, return probes make stacks unreliable on every tested kernel.",
    sources: &[
        "kernel/trace/ftrace.c, __ftrace_hash_update_ipmodify (5.10 to 7.3)",
        "kernel/trace/ftrace.c, prepare_direct_functions_for_ipmodify (6.0): EBUSY without ops_func",
        "commit 00963a2e75a8 (6.0): bpf: Support bpf_trampoline on functions with IPMODIFY",
        "commits ca45c84afb8c and 01bc3b6db18d (6.19): the unwinder knows the frames of BPF",
        "commit 0bc11ed5ab60 (5.4): kprobes: Allow kprobes coexist with livepatch",
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
    let support = context.facts.hooks.support;
    let is_first = is_first(context, function);
    let machine = context.patch.machine;
    match hook.kind {
        FoundHookKind::Redirect { .. } | FoundHookKind::Direct if is_first => {
            Some(refused(function, hook))
        }
        FoundHookKind::Fentry
        | FoundHookKind::Fexit
        | FoundHookKind::FmodRet
        | FoundHookKind::Lsm
        | FoundHookKind::Trampoline
            if is_first && support.trampolines != Some(true) =>
        {
            Some(not_shared(function, hook, support))
        }
        FoundHookKind::Fexit | FoundHookKind::FmodRet | FoundHookKind::Lsm
            if machine == Machine::X86_64 && support.bpf_frames == Some(false) =>
        {
            Some(unreliable(function, hook))
        }
        FoundHookKind::Trampoline
            if machine == Machine::X86_64 && support.bpf_frames == Some(false) =>
        {
            Some(perhaps_unreliable(function, hook))
        }
        FoundHookKind::Kretprobe if returns_mislead(machine, support) => {
            Some(unreliable(function, hook))
        }
        FoundHookKind::Fentry
        | FoundHookKind::Fexit
        | FoundHookKind::FmodRet
        | FoundHookKind::Lsm
        | FoundHookKind::Trampoline
        | FoundHookKind::Kprobe(_)
        | FoundHookKind::Kretprobe
        | FoundHookKind::Redirect { .. }
        | FoundHookKind::Direct => None,
    }
}

/// Whether a return probe makes a stack unreliable.
fn returns_mislead(machine: Machine, support: HookSupport) -> bool {
    match machine {
        Machine::X86_64 | Machine::Aarch64 | Machine::S390x => support.return_probes == Some(false),
        Machine::Ppc64 | Machine::Ppc64le => true,
        // Unknown.
        Machine::Riscv64 | Machine::Loongarch64 => false,
    }
}

fn refused(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} occupies {}: the kernel would refuse this patch (EBUSY).",
        capital(&described(hook)),
        place(function)
    );
    found(Severity::Danger, text, hook, Some(EBUSY))
}

/// `support.trampolines` is `None` if it could not be read.
fn not_shared(function: &FunctionId, hook: &FoundHook, support: HookSupport) -> CheckFinding {
    let what = capital(&described(hook));
    let place = place(function);
    if support.trampolines.is_some() {
        let text = format!(
            "{what} is attached to {place}: on this kernel BPF and a patch cannot share a function, \
             and would refuse this patch (EBUSY)."
        );
        return found(Severity::Danger, text, hook, Some(EBUSY));
    }
    let text = format!(
        "{what} is attached to {place}: a kernel before 6.0 would refuse this patch (EBUSY). It is \
             unknown whether this one does."
    );
    found(Severity::Warning, text, hook, None)
}

fn unreliable(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} makes the stacks of tasks asleep in {} unreliable: the transition would wait for them.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Warning, text, hook, None);
    finding.remedy.push(
        "If it must stay: the kernel's signal frees a user task after 15 s, but not a kernel \
             thread."
            .to_owned(),
    );
    finding
}

fn perhaps_unreliable(function: &FunctionId, hook: &FoundHook) -> CheckFinding {
    let text = format!(
        "{} is on {}: if its program is of kind fexit or fmod_ret, the transition would wait \
         for tasks asleep in there.",
        capital(&described(hook)),
        place(function)
    );
    let mut finding = found(Severity::Note, text, hook, None);
    finding.remedy = vec!["To see its kind: bpftool link list".to_owned()];
    finding
}

fn found(severity: Severity, text: String, hook: &FoundHook, errno: Option<u32>) -> CheckFinding {
    CheckFinding {
        rule: RULE.id.to_owned(),
        severity,
        text,
        evidence: hook.evidence.clone(),
        remedy: removal(hook),
        refusal: errno.map(|errno| LoadRefusal { errno }),
    }
}

#[cfg(test)]
mod tests;
