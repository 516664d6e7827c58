//! The kernel functions that are dangerous to patch by their nature.

use crate::model::snapshot::Severity;

/// A kind of function, and why it is risky.
pub(super) struct RiskKind {
    pub severity: Severity,
    pub why: &'static str,
    names: &'static [&'static str],
    beginnings: &'static [&'static str],
}

const KINDS: [RiskKind; 10] = [
    RiskKind {
        severity: Severity::Danger,
        why: "is on the stack of every sleeping task: no task could switch",
        names: &["schedule", "__schedule", "context_switch", "__switch_to"],
        beginnings: &[],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "is on the stacks of most sleeping tasks: they could not switch",
        names: &["schedule_timeout"],
        beginnings: &["preempt_schedule"],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "is on the stack of every idle CPU: none could switch",
        names: &["schedule_idle", "do_idle", "cpu_startup_entry"],
        beginnings: &[],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "is on the stack of every kernel thread: none could switch",
        names: &["kthread", "ret_from_fork"],
        beginnings: &[],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "is on the stack of every workqueue worker: none could switch",
        names: &["worker_thread"],
        beginnings: &[],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "does not return: a task in it never leaves old code",
        names: &[
            "do_exit",
            "do_group_exit",
            "do_task_dead",
            "make_task_dead",
            "kthread_exit",
        ],
        beginnings: &[],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "is part of the code that applies a patch",
        names: &[
            "arch_ftrace_ops_list_func",
            "ftrace_ops_list_func",
            "ftrace_caller",
            "ftrace_regs_caller",
            "stack_trace_save_tsk_reliable",
            "arch_stack_walk_reliable",
            "unwind_next_frame",
            "multi_cpu_stop",
        ],
        beginnings: &[
            "klp_",
            "__klp_",
            "ftrace_",
            "stop_machine",
            "text_poke",
            "rcu_tasks_",
        ],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "runs on entry to or exit from the kernel, which livepatch does not support",
        names: &[
            "do_syscall_64",
            "do_int80_syscall_32",
            "syscall_return_slowpath",
        ],
        beginnings: &[
            "asm_",
            "exc_",
            "entry_",
            "irqentry_",
            "syscall_enter_",
            "syscall_exit_",
            "exit_to_user_",
            "do_fast_syscall_",
        ],
    },
    RiskKind {
        severity: Severity::Danger,
        why: "runs in an NMI, which livepatch does not support",
        names: &["nmi_handle", "do_nmi"],
        beginnings: &["default_do_nmi", "nmi_", "perf_event_nmi_"],
    },
    RiskKind {
        severity: Severity::Warning,
        why: "runs partly in the parent and partly in the child of a fork",
        names: &[
            "copy_process",
            "kernel_clone",
            "copy_thread",
            "dup_task_struct",
            "_do_fork",
        ],
        beginnings: &["copy_thread_"],
    },
];

/// Whether this function of the kernel is dangerous to patch by its nature.
pub(super) fn is_risky(function: &str) -> bool {
    kind_of(function).is_some()
}

/// The first kind that this kernel function belongs to.
pub(super) fn kind_of(function: &str) -> Option<&'static RiskKind> {
    KINDS.iter().find(|kind| {
        kind.names.contains(&function)
            || kind
                .beginnings
                .iter()
                .any(|start| function.starts_with(start))
    })
}
