//! What kind of task this is: it decides what can free it.

use lpwatch_common::task::PF_KTHREAD;
use serde::{Deserialize, Serialize};

/// The kind of a task. It decides what can free it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// It runs a program. The kernel's signal sends it to user space, where it
    /// switches.
    #[default]
    User,
    /// It works for a process and never returns to user space: a thread of `io_uring`
    /// or vhost. The kernel's signal wakes it.
    UserWorker,
    /// A thread of the kernel. The kernel's signal only wakes it.
    Kthread,
    /// A thread of the kernel that runs work items of a workqueue.
    Kworker,
    /// The idle task of a CPU.
    Idle,
}

/// Flags of a task (`PF_*`, include/linux/sched.h, the same in 5.10 to 7.3).
const PF_IDLE: u64 = 0x2;
const PF_IO_WORKER: u64 = 0x10;
const PF_WQ_WORKER: u64 = 0x20;
/// From 6.4 on. Before, this bit meant something else that a user task can have
/// (`PF_USED_ASYNC`), so that the name decides as well.
const PF_USER_WORKER: u64 = 0x4000;

/// Names that the kernel gives to user workers without [`PF_IO_WORKER`]
/// (`vhost_task_create`: drivers/vhost/vhost.c, arch/x86/kvm/mmu/mmu.c).
const WORKER_NAMES: [&str; 2] = ["vhost-", "kvm-nx-lpage-re"];

impl TaskKind {
    /// The kind of a task with these flags and this name.
    #[must_use]
    pub fn of(flags: u64, comm: &str) -> Self {
        let has = |flag| flags & flag != 0;
        if has(u64::from(PF_KTHREAD)) {
            return if has(PF_WQ_WORKER) {
                Self::Kworker
            } else if has(PF_IDLE) {
                Self::Idle
            } else {
                Self::Kthread
            };
        }
        let is_named = || WORKER_NAMES.iter().any(|name| comm.starts_with(name));
        if has(PF_IO_WORKER) || (has(PF_USER_WORKER) && is_named()) {
            Self::UserWorker
        } else {
            Self::User
        }
    }

    /// Whether it is a thread of the kernel (`PF_KTHREAD`).
    #[must_use]
    pub fn is_kernel(self) -> bool {
        matches!(self, Self::Kthread | Self::Kworker | Self::Idle)
    }

    /// Whether it returns to user space.
    #[must_use]
    pub fn is_user(self) -> bool {
        self == Self::User
    }

    /// For a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::User => "task",
            Self::UserWorker => "user worker",
            Self::Kthread => "kernel thread",
            Self::Kworker => "workqueue worker",
            Self::Idle => "idle task",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_the_kind() {
        // As /proc shows them: kthreadd of 6.12, a worker of Debian's 5.10, a shell.
        assert_eq!(TaskKind::of(0x0020_8040, "kthreadd"), TaskKind::Kthread);
        assert_eq!(
            TaskKind::of(0x0440_0050, "iou-wrk-102"),
            TaskKind::UserWorker
        );
        assert_eq!(TaskKind::of(0x0040_0000, "sh"), TaskKind::User);
        let kthread = u64::from(PF_KTHREAD);
        assert_eq!(
            TaskKind::of(kthread | PF_WQ_WORKER, "kworker/0:1"),
            TaskKind::Kworker
        );
        assert_eq!(TaskKind::of(kthread | PF_IDLE, "swapper/0"), TaskKind::Idle);
        // Before 5.12 io_uring's workers are kernel threads with the same bit.
        assert_eq!(
            TaskKind::of(kthread | PF_IO_WORKER, "io_wqe_worker-0"),
            TaskKind::Kthread
        );
    }

    #[test]
    fn the_bit_of_user_workers_meant_something_else_before() {
        assert_eq!(
            TaskKind::of(0x0040_4000, "vhost-1201"),
            TaskKind::UserWorker
        );
        assert_eq!(TaskKind::of(0x0040_4000, "insmod"), TaskKind::User);
    }
}
