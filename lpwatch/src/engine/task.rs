//! A task of procfs in the terms of the model.

use crate::{
    kernel::{Roots, kallsyms::Location, task_detail, tasks::ProcTask},
    model::{
        AwaitedChild, Task, TaskKind,
        evidence::{Evidence, Frame},
    },
};

/// The task as its `stat` shows it.
pub(crate) fn task(task: ProcTask) -> Task {
    Task {
        tid: task.tid,
        tgid: task.tgid,
        kind: TaskKind::of(task.flags.unwrap_or_default(), &task.comm),
        comm: task.comm,
        evidence: Evidence {
            state: task.state,
            ..Evidence::default()
        },
    }
}

/// The same with its stack and its own ids, as far as they may be read.
pub(super) fn inspected(roots: &Roots, proc_task: ProcTask) -> Task {
    let mut task = task(proc_task);
    task.evidence.looked = inspect(roots, &mut task);
    task
}

/// Reads a task's kernel stack, unless it is known or changes while it is read,
/// its ids in its own pid namespace, and what only /proc has; whether the stack was
/// read.
pub(crate) fn inspect(roots: &Roots, task: &mut Task) -> bool {
    let Task { tid, tgid, .. } = *task;
    let evidence = &mut task.evidence;
    // Kernel threads live in the first namespace only.
    if !task.kind.is_kernel() {
        (evidence.ns_tid, evidence.ns_tgid) = task_detail::namespace_ids(roots, tgid, tid).unzip();
    }
    // Only /proc has the workqueue in the name.
    if task.kind == TaskKind::Kworker
        && let Some(comm) = task_detail::comm(roots, tid)
    {
        task.comm = comm;
    }
    let mut is_read = false;
    if evidence.stack.is_empty() && evidence.on_cpu != Some(true) {
        let stack = task_detail::stack(roots, tgid, tid);
        is_read = stack.is_some();
        evidence.stack = stack.into_iter().flatten().map(frame).collect();
    }
    if evidence.awaits_vfork() {
        let child = task_detail::newest_child(roots, tgid, tid);
        evidence.vfork_child = child.map(|child| AwaitedChild {
            pid: child.tid,
            comm: child.comm,
        });
    }
    is_read
}

/// A stack frame as procfs shows it.
pub(crate) fn frame(location: Location) -> Frame {
    let Location {
        symbol,
        offset,
        module,
    } = location;
    Frame {
        symbol,
        offset,
        module,
    }
}
