//! What there is to run, in groups: `cargo xtask test --list` prints it.

use anyhow::Result;

use super::{
    calls_effect, calls_exact, calls_faults, calls_lifecycle, calls_unwatched, check_predictions,
    check_rules, check_rules_files, check_rules_kernel, check_rules_overlap, check_rules_rates,
    check_rules_tracing, clean_end, degraded, doctor, easy, engines, exporter, forced, harm,
    harmless, idle, killed_daemon, many_threads, objects, odd_names, overflow, reason_asleep,
    reason_foreign, reason_kernel, reason_restless, refused, replace, sleepers, stall,
    stall_daemon, stop_time, two_daemons, vanish, wait, wait_delay,
};
use crate::trial::Trial;

/// What may run beside a scenario's guest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Ordinary,
    /// The kernel gives it a time, such as the 15 s before it signals user tasks:
    /// its guest must not be slow.
    Paced,
    /// It measures time, so that other guests beside it would be measured, too.
    Timed,
}

pub struct Scenario {
    pub name: &'static str,
    pub group: &'static str,
    /// One line for the list.
    pub about: &'static str,
    /// It leaves its guest in a state that nothing can mend.
    pub own_boot: bool,
    pub pace: Pace,
    /// The kernel does not decide its outcome: one kernel is enough.
    pub once: bool,
    /// It takes minutes: its guest should start early.
    pub long: bool,
    pub run: fn(&mut Trial) -> Result<()>,
}

impl Scenario {
    const fn own_boot(mut self) -> Self {
        self.own_boot = true;
        self
    }

    const fn paced(mut self) -> Self {
        self.pace = Pace::Paced;
        self
    }

    const fn timed(mut self) -> Self {
        self.pace = Pace::Timed;
        self
    }

    const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    const fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// The words that xtask's planner goes by.
    pub fn marks(&self) -> String {
        let marks = [
            (self.own_boot, "boot=own"),
            (self.pace == Pace::Paced, "paced"),
            (self.pace == Pace::Timed, "timed"),
            (self.once, "once"),
            (self.long, "long"),
        ];
        let set = marks.iter().filter(|(is_set, _)| *is_set);
        set.map(|(_, mark)| *mark).collect::<Vec<_>>().join(",")
    }
}

const fn scenario(
    group: &'static str,
    name: &'static str,
    about: &'static str,
    run: fn(&mut Trial) -> Result<()>,
) -> Scenario {
    Scenario {
        name,
        group,
        about,
        own_boot: false,
        pace: Pace::Ordinary,
        once: false,
        long: false,
        run,
    }
}

/// All of them, the simplest of a group first: what fails early explains what
/// fails later.
pub const ALL: &[Scenario] = &[
    scenario(
        "life",
        "easy",
        "A patch completes at once and goes again; the daemon records both",
        easy::run,
    ),
    scenario(
        "life",
        "two_patches",
        "Two patches at once; one asked for by name; a name that no patch has",
        easy::two_patches,
    ),
    scenario(
        "life",
        "stall",
        "One kernel thread stalls a transition; seen without a daemon, with BPF and without",
        stall::run,
    ),
    scenario(
        "life",
        "stall_daemon",
        "A stall from its beginning to its reversal, as the daemon reports it",
        stall_daemon::run,
    ),
    scenario(
        "life",
        "wait",
        "The exit codes of `lpwatch wait` with a daemon",
        wait::run,
    ),
    scenario(
        "life",
        "wait_no_daemon",
        "The exit codes of `lpwatch wait` without a daemon",
        wait::without_daemon,
    ),
    scenario(
        "life",
        "wait_delay",
        "How soon `lpwatch wait` returns, beside a loop that polls once a second",
        wait_delay::run,
    )
    .once()
    .timed(),
    scenario(
        "life",
        "refused",
        "Patches that the kernel refuses before and after it began a transition",
        refused::run,
    ),
    scenario(
        "life",
        "two_objects",
        "A patch of the kernel and of a module that is not loaded yet",
        objects::run,
    ),
    scenario(
        "life",
        "replace",
        "A patch that replaces the one before it",
        replace::run,
    ),
    scenario(
        "life",
        "sleepers",
        "User tasks asleep in the patched function switch at the kernel's signal",
        sleepers::run,
    )
    .paced(),
    scenario(
        "life",
        "unpatching_stall",
        "User tasks asleep in the new function hold up its removal",
        sleepers::unpatching,
    )
    .paced(),
    scenario(
        "life",
        "vanish",
        "Patches come and go while lpwatch reads them",
        vanish::run,
    ),
    scenario(
        "life",
        "odd_names",
        "A task whose name is made to break whatever prints it",
        odd_names::run,
    )
    .paced(),
    scenario(
        "life",
        "forced",
        "A transition that the operator forces",
        forced::run,
    )
    .own_boot(),
    scenario(
        "reasons",
        "reason_kthread",
        "A kernel thread inside its main function, which it never leaves",
        reason_asleep::kthread,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_sleepers",
        "User tasks asleep in a function of the kernel itself",
        reason_asleep::sleepers,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_stopped",
        "A stopped task has left the function in which it slept",
        reason_asleep::stopped,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_many",
        "Hundreds of blockers: all are listed, and all are right",
        reason_asleep::many,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_odd_comm",
        "A blocker with control characters in its name",
        reason_asleep::odd_comm,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_reversal",
        "A reversal with tasks on both sides",
        reason_asleep::reversal,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_busy_kthread",
        "A kernel thread that is always on its CPU",
        reason_kernel::busy,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_uninterruptible",
        "A user task in an uninterruptible sleep",
        reason_kernel::uninterruptible,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_fexit",
        "A foreign fexit program makes the stacks below it unreliable",
        reason_foreign::fexit,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_kretprobe",
        "A return probe: before 5.16 it makes stacks unreliable",
        reason_foreign::kretprobe,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_forking",
        "New tasks all the time, none of which blocks for long",
        reason_restless::forking,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_hidden_symbols",
        "The kernel hides its addresses; the reason is found all the same",
        reason_restless::hidden_symbols,
    )
    .paced(),
    scenario(
        "calls",
        "calls_exact",
        "Known numbers of calls before, during and after a transition",
        calls_exact::run,
    ),
    scenario(
        "calls",
        "calls_exact_turns",
        "Calls all the time while a patch goes in and out",
        calls_exact::turns,
    )
    .paced(),
    scenario(
        "calls",
        "calls_crowded",
        "More calling threads than processors: no call is lost",
        calls_exact::crowded,
    ),
    scenario(
        "calls",
        "calls_unwatched",
        "A patch that nobody asked to watch is counted from when it appears",
        calls_unwatched::run,
    ),
    scenario(
        "calls",
        "calls_unloading",
        "A watched patch and its module unload as fast as others",
        calls_lifecycle::unloading,
    ),
    scenario(
        "calls",
        "calls_target",
        "A watched module is unloaded and loaded again",
        calls_lifecycle::target,
    ),
    scenario(
        "calls",
        "calls_replace",
        "Calls across a replace patch",
        calls_lifecycle::replace,
    ),
    scenario(
        "calls",
        "calls_on_top",
        "Two patches of one function: the upper one's code is new",
        calls_lifecycle::on_top,
    ),
    scenario(
        "calls",
        "calls_daemon",
        "A killed daemon leaves nothing; the next counts from 0",
        calls_lifecycle::daemon,
    ),
    scenario(
        "calls",
        "calls_redirected",
        "A probe redirects calls before lpwatch looks: the patch is not effective",
        calls_effect::redirected,
    ),
    scenario(
        "calls",
        "calls_redirected_watched",
        "A probe redirects calls of a watched function",
        calls_effect::redirected_watched,
    ),
    scenario(
        "calls",
        "calls_post_handler",
        "A kprobe with a post handler keeps the patch out",
        calls_effect::post_handler,
    ),
    scenario(
        "calls",
        "calls_ftrace",
        "ftrace is switched off: no patch loads, nothing is counted",
        calls_effect::ftrace,
    ),
    scenario(
        "calls",
        "calls_ftrace_off_first",
        "ftrace is off before lpwatch starts",
        calls_effect::ftrace_off_first,
    ),
    scenario(
        "calls",
        "calls_names",
        "Names that are no function, or not yet, or not countable",
        calls_faults::names,
    ),
    scenario(
        "calls",
        "calls_foreign",
        "Foreign programs on a counted function: everybody counts every call",
        calls_faults::foreign,
    ),
    scenario(
        "calls",
        "calls_many",
        "More functions than there is room for",
        calls_faults::many,
    )
    .own_boot()
    .once()
    .timed(),
    scenario(
        "check",
        "check_predictions",
        "Every test patch checked, then loaded: the forecast is what happens",
        check_predictions::run,
    )
    .long(),
    scenario(
        "check",
        "check_verdicts",
        "Verdicts, exit codes, and a patch that is loaded already",
        check_rules::verdicts,
    ),
    scenario(
        "check",
        "check_busy",
        "While another patch is in transition the kernel takes none",
        check_rules::busy,
    ),
    scenario(
        "check",
        "check_foreign",
        "A foreign fexit program below which tasks sleep, named with its owner",
        check_rules::foreign,
    ),
    scenario(
        "check",
        "check_beside",
        "The daemon shows a check's forecast beside what happens",
        check_rules::beside,
    ),
    scenario(
        "check",
        "check_unreadable",
        "Files that cannot be read, each with the reason",
        check_rules_files::unreadable,
    )
    .once(),
    scenario(
        "check",
        "check_read",
        "A module that is no patch, an incomplete patch, a risky function",
        check_rules_files::read,
    )
    .once(),
    scenario(
        "check",
        "check_elsewhere",
        "A kernel without live patching reads the file all the same",
        check_rules_files::elsewhere,
    )
    .once(),
    scenario(
        "check",
        "check_ftrace",
        "With ftrace switched off no patch is taken",
        check_rules_kernel::ftrace,
    ),
    scenario(
        "check",
        "check_builds",
        "Builds for another kernel, configuration and processor",
        check_rules_kernel::builds,
    ),
    scenario(
        "check",
        "check_rates",
        "Call rates are counted while check looks, never during a transition",
        check_rules_rates::run,
    )
    .long(),
    scenario(
        "check",
        "check_overlap",
        "A second patch of a function, one that undoes the first, unfit states",
        check_rules_overlap::loaded,
    ),
    scenario(
        "check",
        "check_on_top",
        "Tasks asleep in the new code of a loaded patch",
        check_rules_overlap::on_top,
    ),
    scenario(
        "check",
        "check_entry",
        "A BPF program at a function's entry: 5.10 refuses the patch",
        check_rules_tracing::entry,
    ),
    scenario(
        "check",
        "check_held",
        "Other users of ftrace that hold the function",
        check_rules_tracing::held,
    ),
    scenario(
        "check",
        "check_fexit",
        "A foreign fexit program at the very function",
        check_rules_tracing::fexit,
    ),
    scenario(
        "check",
        "check_kretprobe",
        "A return probe below which tasks sleep: it stalls 5.10 alone",
        check_rules_tracing::kretprobe,
    ),
    scenario(
        "check",
        "check_blind",
        "A probe in a function's body sees nothing once it is patched",
        check_rules_tracing::blind,
    ),
    scenario(
        "check",
        "check_signature",
        "A kernel that asks for signatures: lockdown and its own setting",
        check_rules_kernel::signature,
    )
    .own_boot(),
    scenario(
        "engines",
        "engines_at_once",
        "Livepatch, kpatch's core and kGraft on one host",
        engines::at_once,
    ),
    scenario(
        "engines",
        "engine_kgraft",
        "kGraft: stalled, forced, reverted, refused",
        engines::kgraft,
    )
    .once(),
    scenario(
        "engines",
        "engine_ksplice",
        "Ksplice: held up, stalled, given up, applied, reversed",
        engines::ksplice,
    )
    .once(),
    scenario(
        "engines",
        "engine_kpatch",
        "kpatch's core: applied, refused, disabled",
        engines::kpatch,
    )
    .once(),
    scenario(
        "engines",
        "engine_kernelcare",
        "KernelCare: its files, and how often its tool is asked",
        engines::kernelcare,
    )
    .once(),
    scenario(
        "engines",
        "engine_openeuler",
        "openEuler's live patching: enabled, disabled",
        engines::openeuler,
    )
    .once(),
    scenario(
        "engines",
        "engine_faults",
        "Systems come and go while they are read; unreadable files",
        engines::faults,
    )
    .once(),
    scenario(
        "engines",
        "stop_time",
        "How long the machine was stopped, with a real stop_machine()",
        stop_time::run,
    )
    .timed(),
    scenario(
        "daemon",
        "exporter",
        "The metrics say what status says, before, in and after a stall",
        exporter::run,
    )
    .once(),
    scenario(
        "daemon",
        "killed_daemon",
        "A daemon killed in mid-transition; the next one knows of it",
        killed_daemon::run,
    ),
    scenario(
        "daemon",
        "two_daemons",
        "Two daemons, a stale socket, a file that is no socket",
        two_daemons::run,
    )
    .once(),
    scenario(
        "daemon",
        "overflow",
        "More events than the ring holds: lpwatch says so and finds the true state",
        overflow::run,
    ),
    scenario(
        "daemon",
        "clean_end",
        "A daemon that is asked to end leaves nothing behind",
        clean_end::run,
    ),
    scenario(
        "daemon",
        "idle",
        "A daemon with nothing to watch does not wake up",
        idle::run,
    )
    .timed(),
    scenario(
        "daemon",
        "doctor",
        "What `lpwatch doctor` says is what this kernel is known to be",
        doctor::run,
    ),
    scenario(
        "harm",
        "harmless",
        "Transitions with a daemon go as they go without",
        harmless::run,
    )
    .timed(),
    scenario(
        "harm",
        "harmless_check",
        "Transitions beside `lpwatch check` go as they go without",
        harmless::beside_check,
    )
    .timed(),
    scenario(
        "harm",
        "harm",
        "`bench harm` in short: what must hold whatever the times are",
        harm::run,
    )
    .timed(),
    scenario(
        "harm",
        "many_threads",
        "One blocker among thousands of threads: what it costs to find it",
        many_threads::run,
    )
    .timed(),
    scenario(
        "faults",
        "no_root",
        "An ordinary user: what can be read, and what is said to be missing",
        degraded::no_root,
    ),
    scenario(
        "faults",
        "no_capabilities",
        "Root without the capabilities that BPF asks for",
        degraded::no_capabilities,
    ),
    scenario(
        "faults",
        "no_btf",
        "A kernel without type information",
        degraded::no_btf,
    ),
    scenario(
        "faults",
        "no_livepatch",
        "A kernel without live patching",
        degraded::no_livepatch,
    )
    .once(),
];
