//! What has to happen before a task switches. The advice about a task and the steps
//! for its transition both follow from it, so that they never disagree.

use super::{Blocker, Cause, Reason, Situation, TaskKind, in_main_function};

/// What has to happen before a task switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Outlook {
    /// It was not inspected.
    Unknown,
    /// The kernel's next signal moves it, or wakes it.
    Signal,
    /// It switches by itself, sooner or later.
    Itself,
    /// It switches once what it waits for completes. No signal reaches it.
    Sleep,
    /// An operator has to do something about the task or about what holds it.
    Operator,
    /// Only the reversal of the transition is known to help.
    Reversal,
}

/// What has to happen before this task switches.
pub(in crate::model) fn outlook(blocker: &Blocker, situation: &Situation<'_>) -> Outlook {
    let Some(reason) = blocker.reason else {
        return Outlook::Unknown;
    };
    if never_leaves_main(blocker) {
        return Outlook::Reversal;
    }
    match reason {
        Reason::NoUnwindData => Outlook::Reversal,
        Reason::UnreliableStack | Reason::SleepingOnFunction | Reason::WaitingForSignal
            if is_stopped(blocker) =>
        {
            Outlook::Operator
        }
        Reason::UnreliableStack if has_cause(blocker) => {
            if signal_frees(blocker, situation) {
                Outlook::Signal
            } else {
                Outlook::Operator
            }
        }
        Reason::UnreliableStack if blocker.kthread || blocker.state == Some('D') => Outlook::Itself,
        Reason::UnreliableStack | Reason::SleepingOnFunction | Reason::WaitingForSignal => {
            asleep(blocker, situation)
        }
        Reason::KvmVcpu => Outlook::Signal,
        Reason::Uninterruptible => Outlook::Sleep,
        Reason::Running | Reason::Idle | Reason::Pending => Outlook::Itself,
    }
}

/// A task that the kernel's signal wakes, if anything does.
fn asleep(blocker: &Blocker, situation: &Situation<'_>) -> Outlook {
    match blocker.kind() {
        // Nothing wakes a kernel thread in state I but its own work.
        _ if blocker.kthread && blocker.state == Some('I') => Outlook::Itself,
        _ if !situation.signalled_in_vain() => Outlook::Signal,
        TaskKind::User if blocker.tgid == 1 => Outlook::Itself,
        TaskKind::User => Outlook::Operator,
        TaskKind::UserWorker | TaskKind::Kthread | TaskKind::Kworker | TaskKind::Idle => {
            Outlook::Reversal
        }
    }
}

/// Whether it is asleep in the function that it was started with, which it does not
/// leave.
pub(super) fn never_leaves_main(blocker: &Blocker) -> bool {
    let is_blocking = match blocker.reason {
        Some(Reason::SleepingOnFunction | Reason::WaitingForSignal | Reason::Uninterruptible) => {
            true
        }
        Some(Reason::UnreliableStack) => {
            blocker.kind() == TaskKind::UserWorker && !has_cause(blocker)
        }
        Some(
            Reason::NoUnwindData
            | Reason::Running
            | Reason::KvmVcpu
            | Reason::Idle
            | Reason::Pending,
        )
        | None => false,
    };
    is_blocking && in_main_function(blocker)
}

/// Neither the kernel's signal nor a check reaches a stopped task.
pub(super) fn is_stopped(blocker: &Blocker) -> bool {
    matches!(blocker.state, Some('T' | 't')) && !blocker.kthread
}

/// Whether it is known what makes its stack unreliable.
fn has_cause(blocker: &Blocker) -> bool {
    matches!(blocker.cause, Some(Cause::BpfTrampoline | Cause::Kretprobe))
}

/// Whether the kernel's signal takes the task out of what makes its stack
/// unreliable.
pub(super) fn signal_frees(blocker: &Blocker, situation: &Situation<'_>) -> bool {
    !blocker.kthread && blocker.state != Some('D') && !situation.signalled_in_vain()
}
