//! The hook policy: which hook serves which fact on this kernel, and why.
//!
//! Rule one: a watcher must never be the reason that a transition stalls. So
//! there is no fexit and no `fmod_ret` here at all. Every hook but one is an
//! entry hook, which leaves nothing on the stack of a task that sleeps later.
//! The exception is the return probe on the kernel's check of a task: see
//! [`verdicts`].

use strum::IntoStaticStr;

use crate::model::{ObservedFact, snapshot::Probe};

/// How a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum HookKind {
    Fentry,
    Kprobe,
}

impl HookKind {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The kernel function whose entry reports a fact, and our programs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHook {
    pub fact: ObservedFact,
    pub function: &'static str,
    pub fentry: &'static str,
    pub kprobe: &'static str,
}

macro_rules! entry_hooks {
    ($($fact:ident $function:literal $fentry:literal $kprobe:literal;)*) => {
        [$(EntryHook {
            fact: ObservedFact::$fact,
            function: $function,
            fentry: $fentry,
            kprobe: $kprobe,
        }),*]
    };
}

/// Every fact of a transition's life (kernel/livepatch/{core,transition}.c).
pub(super) const ENTRY_HOOKS: [EntryHook; 8] = entry_hooks! {
    Enable "klp_enable_patch" "enable_fentry" "enable_kprobe";
    Begun "klp_init_transition" "begun_fentry" "begun_kprobe";
    Try "klp_try_complete_transition" "try_fentry" "try_kprobe";
    Complete "klp_complete_transition" "complete_fentry" "complete_kprobe";
    Reversed "klp_reverse_transition" "reversed_fentry" "reversed_kprobe";
    Forced "klp_force_transition" "forced_fentry" "forced_kprobe";
    Cancelled "klp_cancel_transition" "cancelled_fentry" "cancelled_kprobe";
    Switched "klp_update_patch_state" "updated_fentry" "updated_kprobe";
};

/// Without these two no transition can be followed by hooks.
pub(super) const ESSENTIAL: [ObservedFact; 2] = [ObservedFact::Begun, ObservedFact::Complete];

/// A fact that a tracepoint reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracepoint {
    pub fact: ObservedFact,
    pub name: &'static str,
    pub program: &'static str,
}

/// The return value of a module's init function, and modules that are loaded
/// and unloaded (include/trace/events/{initcall,module}.h).
pub(super) const TRACEPOINTS: [Tracepoint; 3] = [
    Tracepoint {
        fact: ObservedFact::Refused,
        name: "initcall_finish",
        program: "init_finished",
    },
    Tracepoint {
        fact: ObservedFact::ModuleLoaded,
        name: "module_load",
        program: "module_loaded",
    },
    Tracepoint {
        fact: ObservedFact::ModuleFreed,
        name: "module_free",
        program: "module_freed",
    },
];

/// The kernel function by which BPF trampolines and livepatch share a function;
/// since 6.0 (00963a2e75a8). Without it, an fentry on a function keeps its
/// livepatch from loading.
pub(super) const SHARING_MARKER: &str = "bpf_tramp_ftrace_ops_func";

/// The kernel function by which an unwinder knows the frames of BPF programs
/// and trampolines; since 6.19 (ca45c84afb8c, 01bc3b6db18d) on x86, and
/// wherever these were backported.
pub(super) const FRAMES_MARKER: &str = "bpf_has_frame_pointer";

/// The function whose return is the kernel's verdict on a task.
pub(super) const VERDICT_FUNCTION: &str = "klp_check_and_switch_task";

/// Whether the return of [`VERDICT_FUNCTION`] may be probed, or why not.
///
/// A return probe leaves a trampoline on the stack of a task that checks
/// itself. By experiment that is harmless on x86-64, arm64 and s390x wherever
/// the function exists (5.16 on): their unwinders know return probes. On
/// powerpc the checking task gets -EINVAL.
pub(super) fn verdicts(exists: bool, processor: &str) -> Result<(), &'static str> {
    if !exists {
        return Err("this kernel has no such function (it came with 5.16)");
    }
    match processor {
        "x86_64" | "aarch64" | "s390x" => Ok(()),
        "powerpc64" => Err("a return probe makes stacks unreliable on this processor"),
        _ => Err("it is unknown whether a return probe is harmless on this processor"),
    }
}

/// Whether an fentry may be on a patched function, or why not; `marked`: the
/// kernel has [`SHARING_MARKER`].
///
/// By experiment: on x86-64 and arm64 the patch stays effective and every call
/// is seen. On s390x the original runs again while the hook is attached, and on
/// powerpc the hook never fires.
pub(super) fn sharing(marked: bool, processor: &str) -> Result<(), &'static str> {
    if !marked {
        return Err(
            "this kernel does not let an fentry and a live patch share a function (6.0 and later \
             do): with the hook attached the live patch would fail to load",
        );
    }
    match processor {
        "x86_64" | "aarch64" => Ok(()),
        "s390x" => Err("on this processor an fentry on a patched function switches its patch off"),
        "powerpc64" => Err("on this processor an fentry on a patched function never fires"),
        _ => Err(
            "it is unknown whether an fentry on a patched function is harmless on this processor",
        ),
    }
}

/// Whether a kprobe may be on a function before its patch is loaded, or why
/// not. By experiment: on s390x the original then goes on running, and nothing
/// reports it; elsewhere the patch is effective.
pub(super) fn preceding(processor: &str) -> Result<(), &'static str> {
    match processor {
        "x86_64" | "aarch64" | "powerpc64" => Ok(()),
        "s390x" => Err(
            "on this processor a probe attached before the patch switches the patch off, so the \
             function is counted once it is patched",
        ),
        _ => Err(
            "it is unknown whether a probe attached before the patch is harmless on this \
             processor, so the function is counted once it is patched",
        ),
    }
}

/// The kernel functions by which a probe on many functions (kprobe.multi) enters them
/// like an ftrace function: up to 6.13, and from 6.19 on. In between it enters them like
/// the function graph tracer, which was not tried.
const MULTI_MARKERS: [&str; 2] = ["fprobe_handler", "fprobe_ftrace_entry"];

/// Whether functions may be counted by kprobe.multi, or why not; `marked`: the kernel
/// has one of the [`MULTI_MARKERS`].
///
/// By experiment on x86-64: a patch loads, is effective and goes, and every call is
/// seen. It is for functions of the kernel alone: it holds modules.
fn multi(marked: bool, processor: &str) -> Result<(), &'static str> {
    match (marked, processor) {
        (true, "x86_64") => Ok(()),
        (false, _) => Err("this kernel has no kprobe.multi, or one that was not tried"),
        (true, _) => Err("it is unknown whether kprobe.multi is harmless on this processor"),
    }
}

/// [`multi`] on this processor; `has` is whether the kernel has a function.
pub(super) fn multi_here(has: impl Fn(&str) -> bool) -> Result<(), &'static str> {
    let marked = MULTI_MARKERS.iter().any(|marker| has(marker));
    multi(marked, std::env::consts::ARCH)
}

/// The kinds to try for a function, best first.
pub(super) fn choices(in_btf: bool) -> &'static [HookKind] {
    if in_btf {
        &[HookKind::Fentry, HookKind::Kprobe]
    } else {
        &[HookKind::Kprobe]
    }
}

/// A hook as an entry of the snapshot.
pub(super) fn probe(
    fact: ObservedFact,
    kind: &str,
    target: &str,
    attached: bool,
    notes: &[String],
) -> Probe {
    Probe {
        fact,
        kind: kind.to_owned(),
        target: target.to_owned(),
        attached,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fentry_needs_btf() {
        assert_eq!(choices(true), [HookKind::Fentry, HookKind::Kprobe]);
        assert_eq!(choices(false), [HookKind::Kprobe]);
    }

    #[test]
    fn return_probes_only_where_found_harmless() {
        assert_eq!(verdicts(true, "x86_64"), Ok(()));
        assert!(verdicts(false, "x86_64").is_err());
        assert!(verdicts(true, "powerpc64").is_err());
        assert!(verdicts(true, "riscv64").is_err());
    }

    #[test]
    fn fentry_on_patched_functions_only_where_found_harmless() {
        assert_eq!(sharing(true, "x86_64"), Ok(()));
        assert_eq!(sharing(true, "aarch64"), Ok(()));
        assert!(sharing(false, "x86_64").is_err());
        for processor in ["s390x", "powerpc64", "riscv64"] {
            assert!(sharing(true, processor).is_err(), "{processor}");
        }
    }

    #[test]
    fn many_functions_at_once_only_where_found_harmless() {
        assert_eq!(multi(true, "x86_64"), Ok(()));
        assert!(multi(false, "x86_64").is_err());
        assert!(multi(true, "s390x").is_err());
    }

    #[test]
    fn no_patch_is_switched_off_ahead() {
        assert_eq!(preceding("x86_64"), Ok(()));
        assert!(preceding("s390x").is_err());
        assert!(preceding("riscv64").is_err());
    }

    #[test]
    fn every_essential_fact_has_a_hook() {
        for essential in ESSENTIAL {
            assert!(
                ENTRY_HOOKS.iter().any(|hook| hook.fact == essential),
                "{essential}"
            );
        }
    }
}
