//! The facts and their fallbacks, for hosts where a hook is unavailable.

use crate::model::{ObservedFact, doctor::FactSource};

use super::HookInputs;

/// One fact.
pub(super) struct FactRule {
    pub fact: ObservedFact,
    /// What the fact says.
    pub what: &'static str,
    pub source: PrimarySource,
    /// Best first; the first that works on this host is used.
    pub fallbacks: &'static [Fallback],
}

/// The primary source of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrimarySource {
    /// A hook of the policy.
    Hook,
    Sysfs,
    Log,
    /// The iterator over all tasks.
    Tasks,
    /// The iterator over all BPF programs.
    Programs,
    /// Counters at functions that are patched or watched.
    Calls,
    /// Counters at new functions.
    Effect,
}

/// A replacement for a hook.
pub(super) struct Fallback {
    pub kind: FactSource,
    pub target: Option<&'static str>,
    /// A sentence.
    pub text: &'static str,
}

impl Fallback {
    pub fn serves(&self, known: &HookInputs) -> bool {
        match self.kind {
            FactSource::Kmsg => known.log.is_ok(),
            FactSource::Procfs => known.patch_state.is_ok(),
            _ => true,
        }
    }

    /// Whether it is a full source, or only a partial replacement.
    pub fn is_hook(&self) -> bool {
        self.kind != FactSource::None
    }
}

const fn kmsg(text: &'static str) -> Fallback {
    Fallback {
        kind: FactSource::Kmsg,
        target: Some("/dev/kmsg"),
        text,
    }
}

const fn sysfs(target: &'static str, text: &'static str) -> Fallback {
    Fallback {
        kind: FactSource::Sysfs,
        target: Some(target),
        text,
    }
}

const fn makes_do(text: &'static str) -> Fallback {
    Fallback {
        kind: FactSource::None,
        target: None,
        text,
    }
}

const TRANSITION: &str = "/sys/kernel/livepatch/<patch>/transition";
const MODULES: &str = "/sys/module";

macro_rules! rules {
    ($($fact:ident $source:ident $what:literal [$($fallback:expr),*];)*) => {
        &[$(FactRule {
            fact: ObservedFact::$fact,
            what: $what,
            source: PrimarySource::$source,
            fallbacks: &[$($fallback),*],
        }),*]
    };
}

/// Every fact, in display order.
pub(super) const RULES: &[FactRule] = rules! {
    Patches Sysfs "which patches are loaded, enabled and in transition" [];
    Begun Hook "a transition begins: its patch and direction" [
        kmsg("the kernel log reports it"),
        sysfs(TRANSITION, "sysfs is read repeatedly")
    ];
    Complete Hook "a transition has ended" [
        kmsg("the kernel log reports it"),
        sysfs(TRANSITION, "sysfs is read repeatedly")
    ];
    Reversed Hook "an operator reversed a transition" [
        kmsg("the kernel log reports the start in the other direction"),
        sysfs(TRANSITION, "sysfs shows the other direction")
    ];
    Forced Hook "an operator forced a transition" [
        kmsg("the kernel log reports it")
    ];
    Cancelled Hook "the kernel cancelled a transition while enabling the patch" [
        kmsg("the kernel log reports it")
    ];
    Enable Hook "a patch is being enabled" [
        kmsg("the kernel log reports it"),
        sysfs(TRANSITION, "sysfs shows patches that were enabled")
    ];
    Refused Hook "the kernel refused a patch, and with which error" [
        kmsg("the kernel log reports most refusals")
    ];
    Try Hook "each try of the kernel to switch all tasks, and its signals" [
        kmsg("the kernel log reports the first signals; tries are not counted"),
        makes_do("estimated from the age of the transition; tries and signals are not counted")
    ];
    Tasks Tasks "which tasks are on old code, with their stacks" [
        Fallback {
            kind: FactSource::Procfs,
            target: Some("/proc/<pid>/task/<tid>/patch_state"),
            text: "each thread's patch_state and stack in /proc; slower",
        }
    ];
    Verdict Hook "the kernel's own verdict on each task that it checks" [
        makes_do("the reason is derived from the task's stack and state")
    ];
    Switched Hook "how each task switched: checked, on return to user space, idle, forced" [
        makes_do("only the number of remaining tasks is known")
    ];
    Programs Programs "the owner of a BPF program on the stack of a task" [
        makes_do("a program is named by its symbol; its owner is unknown")
    ];
    Calls Calls "how often the old and new code of a function run" [];
    Effect Effect "whether the new code runs" [];
    ModuleLoaded Hook "a module was loaded, with functions to patch or count" [
        sysfs(MODULES, "sysfs is read at each sample")
    ];
    ModuleFreed Hook "a module was unloaded" [
        sysfs(MODULES, "sysfs is read at each sample")
    ];
    Stops Hook "how long stop_machine stopped the machine, and for which system" [
        makes_do("stops of the machine are not reported")
    ];
    Log Log "the kernel's messages about live patches" [
        makes_do("only events from now on are known")
    ];
};
