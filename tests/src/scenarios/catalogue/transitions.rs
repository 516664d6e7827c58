//! What happens in a transition: its life, the reasons of blockers, and calls.

use super::{Scenario, scenario};
use crate::scenarios::{
    callback_blocks, calls_effect, calls_exact, calls_faults, calls_lifecycle, calls_unwatched,
    cpu_held, easy, forced, forced_removal, module_refused, objects, odd_names, reason_asleep,
    reason_foreign, reason_kernel, reason_restless, reason_unwind, reason_waiting, reason_worker,
    refused, replace, sleepers, stall, stall_daemon, status_watch, top, vanish, verify, wait,
    wait_delay, wait_for,
};

pub(super) const ALL: &[Scenario] = &[
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
        "status_watch",
        "`lpwatch status --watch`: a line for each change, none for what passes by itself",
        status_watch::run,
    )
    .once(),
    scenario(
        "reasons",
        "callback_blocks",
        "A callback of a patch runs: no task is to blame, and the transition ends once",
        callback_blocks::run,
    )
    .paced(),
    scenario(
        "reasons",
        "cpu_held",
        "A real-time task keeps a CPU: it is named, and no task is to blame",
        cpu_held::run,
    )
    .once()
    .own_boot()
    .paced(),
    scenario(
        "life",
        "wait",
        "The exit codes of `lpwatch wait` with a daemon",
        wait::run,
    )
    .paced(),
    scenario(
        "life",
        "wait_no_daemon",
        "The exit codes of `lpwatch wait` without a daemon",
        wait::without_daemon,
    )
    .paced(),
    scenario(
        "life",
        "wait_for",
        "`lpwatch wait` before the patch is loaded, for progress, a stall and effect",
        wait_for::run,
    )
    .once()
    .paced(),
    scenario(
        "life",
        "top",
        "`lpwatch top` in a terminal: a stall appears and is explained, the daemon ends",
        top::run,
    )
    .once()
    .paced(),
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
        "module_refused",
        "A module that the kernel refuses to load because of a patch, with cause and way out",
        module_refused::run,
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
    .once()
    .paced(),
    scenario(
        "life",
        "forced",
        "A transition that the operator forces",
        forced::run,
    )
    .own_boot(),
    scenario(
        "life",
        "forced_removal",
        "Which modules can be removed after a transition was forced",
        forced_removal::run,
    )
    .own_boot(),
    scenario(
        "life",
        "forced_replace",
        "The same after the transition of a replace patch was forced",
        forced_removal::replaced,
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
        "reason_waiting",
        "A work item that does not end, and the parent of a vfork, each with what it waits for",
        reason_waiting::run,
    ),
    scenario(
        "reasons",
        "reason_worker",
        "A worker of io_uring in a request, and in its main function",
        reason_worker::run,
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
        "reason_busy_elsewhere",
        "A kernel thread that is busy outside of the patch: foretold, and what happens",
        reason_kernel::busy_elsewhere,
    )
    .paced(),
    scenario(
        "reasons",
        "reason_own_threads",
        "The main functions of the kernel's own threads: foretold, and what happens",
        reason_kernel::own_threads,
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
        "reason_no_unwind_data",
        "A kernel thread asleep in code without unwind data",
        reason_unwind::run,
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
    )
    .paced(),
    scenario(
        "calls",
        "calls_unloading",
        "A watched patch and its module unload as fast as others",
        calls_lifecycle::unloading,
    )
    .paced(),
    scenario(
        "calls",
        "calls_target",
        "A watched module is unloaded and loaded again",
        calls_lifecycle::target,
    )
    .paced(),
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
    )
    .paced(),
    scenario(
        "calls",
        "calls_redirected_watched",
        "A probe redirects calls of a watched function",
        calls_effect::redirected_watched,
    )
    .paced(),
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
        "verify",
        "`lpwatch verify` proves something or says that it did not: each exit code",
        verify::run,
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
    )
    .paced(),
    scenario(
        "calls",
        "calls_many",
        "More functions than there is room for",
        calls_faults::many,
    )
    .own_boot()
    .once()
    .timed(),
];
