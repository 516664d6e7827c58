//! What is around a transition: check, other engines, the daemon, harm and faults.

use super::{Scenario, scenario};
use crate::scenarios::{
    arguments, capabilities, check_predictions, check_rules, check_rules_files, check_rules_kernel,
    check_rules_names, check_rules_overlap, check_rules_rates, check_rules_tracing, clean_end,
    cost, degraded, doctor, early, engines, environments, events, exporter, forged_log, harm,
    harmless, history_faults, history_killed, idle, killed_daemon, many_threads, overflow, recipe,
    report, stop_time, stopped_daemon, two_daemons,
};

pub(super) const ALL: &[Scenario] = &[
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
    )
    .once(),
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
        "check_names",
        "Objects with a name that no module has: accepted, completed, without effect",
        check_rules_names::run,
    )
    .once(),
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
        "early",
        "A patch that is loaded while a daemon attaches its hooks is one transition",
        early::run,
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
        "events",
        "What happened, in order and once; then the same from the file, without a daemon",
        events::run,
    )
    .paced(),
    scenario(
        "daemon",
        "report",
        "The report about a stalled transition and an ended one; names replaced",
        report::run,
    )
    .once()
    .paced(),
    scenario(
        "daemon",
        "history_killed",
        "A daemon killed again and again in transitions: each is in the history, none twice",
        history_killed::run,
    )
    .paced(),
    scenario(
        "daemon",
        "history_faults",
        "The history on a full, read-only and vanished disk, damaged, the clock set back",
        history_faults::run,
    )
    .once(),
    scenario(
        "daemon",
        "stopped_daemon",
        "A daemon that does not run while transitions begin and end says what it missed",
        stopped_daemon::run,
    )
    .once()
    .paced(),
    scenario(
        "daemon",
        "two_daemons",
        "Two daemons, a stale socket, a file that is no socket",
        two_daemons::run,
    )
    .once(),
    scenario(
        "daemon",
        "recipe",
        "The shell script of deploy/recipes: a danger, a patch that completes, one reversed",
        recipe::run,
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
        "cost",
        "What it reads, holds and takes of memory, idle and in a stall",
        cost::run,
    )
    .once(),
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
    .once()
    .timed(),
    scenario(
        "faults",
        "forged_log",
        "Lines of the kernel log that a process wrote: lpwatch says the same as without",
        forged_log::run,
    )
    .once(),
    scenario(
        "faults",
        "no_root",
        "An ordinary user: what can be read, and what is said to be missing",
        degraded::no_root,
    ),
    scenario(
        "faults",
        "arguments",
        "Wrong arguments get a sentence and an exit code; completions know this host",
        arguments::run,
    )
    .once(),
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
        "environments",
        "What is known, and the true cause of what is not, wherever something is denied",
        environments::run,
    )
    .own_boot()
    .once(),
    scenario(
        "faults",
        "capabilities",
        "What is lost without each capability, and what a daemon of root gives up",
        capabilities::run,
    )
    .own_boot()
    .once(),
    scenario(
        "faults",
        "no_livepatch",
        "A kernel without live patching",
        degraded::no_livepatch,
    )
    .once(),
];
