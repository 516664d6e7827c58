//! The facts, and what serves where a hook is not to be had.

use crate::model::{ObservedFact, doctor::HookKind};

use super::Known;

/// One fact.
pub(super) struct Rule {
    pub fact: ObservedFact,
    /// What is known by it.
    pub what: &'static str,
    pub source: Source,
    /// Best first; the first that serves on this host is taken.
    pub fallbacks: &'static [Fallback],
}

/// What tells of a fact first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
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

/// What serves instead.
pub(super) struct Fallback {
    pub kind: HookKind,
    pub target: Option<&'static str>,
    /// A sentence.
    pub text: &'static str,
}

impl Fallback {
    pub fn serves(&self, known: &Known) -> bool {
        match self.kind {
            HookKind::Kmsg => known.log.is_ok(),
            HookKind::Procfs => known.patch_state.is_ok(),
            _ => true,
        }
    }

    /// Whether it is of a kind of its own, or only makes do.
    pub fn is_hook(&self) -> bool {
        self.kind != HookKind::None
    }
}

const fn kmsg(text: &'static str) -> Fallback {
    Fallback {
        kind: HookKind::Kmsg,
        target: Some("/dev/kmsg"),
        text,
    }
}

const fn sysfs(target: &'static str, text: &'static str) -> Fallback {
    Fallback {
        kind: HookKind::Sysfs,
        target: Some(target),
        text,
    }
}

const fn makes_do(text: &'static str) -> Fallback {
    Fallback {
        kind: HookKind::None,
        target: None,
        text,
    }
}

const TRANSITION: &str = "/sys/kernel/livepatch/<patch>/transition";
const MODULES: &str = "/sys/module";

macro_rules! rules {
    ($($fact:ident $source:ident $what:literal [$($fallback:expr),*];)*) => {
        &[$(Rule {
            fact: ObservedFact::$fact,
            what: $what,
            source: Source::$source,
            fallbacks: &[$($fallback),*],
        }),*]
    };
}

/// Every fact, in the order they are shown in.
pub(super) const RULES: &[Rule] = rules! {
    Patches Sysfs "which patches are loaded, on, and in transition" [];
    Begun Hook "a transition begins: of which patch, in which direction" [
        kmsg("the kernel log tells of it"),
        sysfs(TRANSITION, "sysfs is read again and again")
    ];
    Complete Hook "a transition has ended" [
        kmsg("the kernel log tells of it"),
        sysfs(TRANSITION, "sysfs is read again and again")
    ];
    Reversed Hook "an operator turned a transition round" [
        kmsg("the kernel log tells that it starts again, the other way"),
        sysfs(TRANSITION, "sysfs shows the other direction")
    ];
    Forced Hook "an operator forced a transition" [
        kmsg("the kernel log tells of it")
    ];
    Cancelled Hook "the kernel gave a transition up while enabling the patch" [
        kmsg("the kernel log tells of it")
    ];
    Enable Hook "a patch is being enabled" [
        kmsg("the kernel log tells of it"),
        sysfs(TRANSITION, "sysfs shows patches that were enabled")
    ];
    Refused Hook "the kernel refused a patch, and with which error" [
        kmsg("the kernel log tells of most refusals")
    ];
    Try Hook "each round of the kernel over all tasks, and its signals" [
        kmsg("the kernel log tells of the first signals; rounds are not counted"),
        makes_do("the age of the transition stands in; rounds and signals are not counted")
    ];
    Tasks Tasks "which tasks are left on old code, with their stacks" [
        Fallback {
            kind: HookKind::Procfs,
            target: Some("/proc/<pid>/task/<tid>/patch_state"),
            text: "each thread's patch_state and stack in /proc: the same, slower",
        }
    ];
    Verdict Hook "the kernel's own answer on each task it checks" [
        makes_do("why a task stays is told from its stack and state")
    ];
    Switched Hook "how each task switched: checked, on return to user space, idle, forced" [
        makes_do("only how many tasks are left is told")
    ];
    Programs Programs "whose BPF program is on the stack of a task" [
        makes_do("a program is named by its symbol; who holds it is not known")
    ];
    Calls Calls "how often old and new code of a function run" [];
    Effect Effect "that the new code does run" [];
    ModuleLoaded Hook "a module came, and with it functions to patch or count" [
        sysfs(MODULES, "sysfs is read at each look")
    ];
    ModuleFreed Hook "a module went" [
        sysfs(MODULES, "sysfs is read at each look")
    ];
    Stops Hook "for how long stop_machine stopped the machine, and for whom" [
        makes_do("that the machine was stopped is not told")
    ];
    Log Log "what the kernel says of live patches" [
        makes_do("what happens is seen from now on; of the past nothing is known")
    ];
};
