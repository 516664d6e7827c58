//! The hook policy: which hook serves which fact on this kernel, and why.
//!
//! Rule one: a watcher must never be the reason that a transition stalls. So
//! there is no fexit and no `fmod_ret` here at all. Every hook but one is an
//! entry hook, which leaves nothing on the stack of a task that sleeps later.
//! The exception is the return probe on the kernel's check of a task: see
//! [`verdicts`].

use crate::model::snapshot::Probe;

/// How a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookKind {
    Fentry,
    Kprobe,
}

impl HookKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        }
    }
}

/// A fact and the kernel function whose entry tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub name: &'static str,
    pub function: &'static str,
    pub fentry: &'static str,
    pub kprobe: &'static str,
}

macro_rules! facts {
    ($($name:literal $function:literal $fentry:literal $kprobe:literal;)*) => {
        [$(Fact { name: $name, function: $function, fentry: $fentry, kprobe: $kprobe }),*]
    };
}

/// Every fact of a transition's life (kernel/livepatch/{core,transition}.c).
pub(super) const FACTS: [Fact; 8] = facts! {
    "enable" "klp_enable_patch" "enable_fentry" "enable_kprobe";
    "begun" "klp_init_transition" "begun_fentry" "begun_kprobe";
    "try" "klp_try_complete_transition" "try_fentry" "try_kprobe";
    "complete" "klp_complete_transition" "complete_fentry" "complete_kprobe";
    "reversed" "klp_reverse_transition" "reversed_fentry" "reversed_kprobe";
    "forced" "klp_force_transition" "forced_fentry" "forced_kprobe";
    "cancelled" "klp_cancel_transition" "cancelled_fentry" "cancelled_kprobe";
    "switched" "klp_update_patch_state" "updated_fentry" "updated_kprobe";
};

/// Without these two no transition can be followed by hooks.
pub(super) const ESSENTIAL: [&str; 2] = ["begun", "complete"];

/// A fact that a tracepoint tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracepoint {
    pub fact: &'static str,
    pub name: &'static str,
    pub program: &'static str,
}

/// The return value of a module's init function, and modules that are loaded
/// and unloaded (include/trace/events/{initcall,module}.h).
pub(super) const TRACEPOINTS: [Tracepoint; 3] = [
    Tracepoint {
        fact: "refused",
        name: "initcall_finish",
        program: "init_finished",
    },
    Tracepoint {
        fact: "module_loaded",
        name: "module_load",
        program: "module_loaded",
    },
    Tracepoint {
        fact: "module_freed",
        name: "module_free",
        program: "module_freed",
    },
];

/// The kernel function by which BPF trampolines and livepatch share a function;
/// since 6.0 (00963a2e75a8). Without it, an fentry on a function keeps its
/// livepatch from loading.
pub(super) const SHARING_MARKER: &str = "bpf_tramp_ftrace_ops_func";

/// The fact that the return probe tells of.
pub(super) const VERDICT_FACT: &str = "verdict";

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
    fact: &str,
    kind: &str,
    target: &str,
    attached: bool,
    notes: &[String],
) -> Probe {
    Probe {
        fact: fact.to_owned(),
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
    fn no_patch_is_switched_off_ahead() {
        assert_eq!(preceding("x86_64"), Ok(()));
        assert!(preceding("s390x").is_err());
        assert!(preceding("riscv64").is_err());
    }

    #[test]
    fn every_essential_fact_has_a_hook() {
        for essential in ESSENTIAL {
            assert!(
                FACTS.iter().any(|fact| fact.name == essential),
                "{essential}"
            );
        }
    }
}
