//! What to do next about a transition: a closed table, each step safe.
//!
//! lpwatch prints these and runs none of them. A command in a step follows its
//! sentence on a line of its own.

use std::time::Duration;

use super::{
    Blocker, Direction, EngineKind, Phase, Reason, TaskKind,
    advice::{
        Situation, other_engines,
        outlook::{Outlook, outlook},
        reversal,
    },
    force,
    waits::{TransitionHold, WaitReason},
};
use crate::text::quoted;

/// The transition that the steps are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck<'a> {
    pub engine: EngineKind,
    pub patch: &'a str,
    pub replace: Option<bool>,
    pub direction: Direction,
    pub age: Option<Duration>,
    /// How often the kernel has signalled the tasks left.
    pub signals: Option<u32>,
    /// The release of the running kernel.
    pub kernel: &'a str,
}

impl Stuck<'_> {
    /// What has to happen before each of these tasks switches.
    fn outlooks(&self, blockers: &[Blocker]) -> Vec<Outlook> {
        let situation = Situation {
            engine: self.engine,
            patch: self.patch,
            direction: self.direction,
            age: self.age,
            signals: self.signals,
        };
        let of = |blocker| outlook(blocker, &situation);
        blockers.iter().map(of).collect()
    }
}

/// The steps for a transition in this phase.
pub(super) fn next_steps(
    stuck: &Stuck<'_>,
    phase: Option<Phase>,
    blockers: &[Blocker],
    wait: Option<&TransitionHold>,
) -> Vec<String> {
    if stuck.engine != EngineKind::Livepatch {
        return other_engines::next_steps(stuck.engine, phase, blockers);
    }
    if let Some(wait) = wait {
        // The kernel's own work usually ends soon.
        let is_brief = wait.reason == WaitReason::Kernel
            && phase.is_none_or(|phase| phase == Phase::Progressing);
        return if is_brief { Vec::new() } else { wait.steps() };
    }
    match phase {
        None | Some(Phase::Progressing) => Vec::new(),
        Some(Phase::Slow | Phase::Long) => vec![unfinished(stuck, blockers)],
        Some(Phase::Stalled) => stalled(stuck, blockers),
    }
}

/// What never happens by itself is not waited for.
fn unfinished(stuck: &Stuck<'_>, blockers: &[Blocker]) -> String {
    let outlooks = stuck.outlooks(blockers);
    if outlooks.contains(&Outlook::Reversal) {
        return reverse(stuck.patch, stuck.direction);
    }
    if outlooks.contains(&Outlook::Operator) {
        return format!(
            "Some tasks do not switch by themselves. To see what frees them:\n\
             lpwatch tasks {}",
            quoted(stuck.patch)
        );
    }
    let are_asleep = |blocker: &Blocker| {
        blocker.kthread
            && matches!(
                blocker.reason,
                Some(Reason::SleepingOnFunction | Reason::WaitingForSignal)
            )
    };
    if !blockers.is_empty() && blockers.iter().all(are_asleep) {
        return "Wait: only kernel threads are left. They switch when they next leave the \
                patched function."
            .to_owned();
    }
    // A task that was not inspected may be one that the signal moves.
    let by_signal = [Outlook::Signal, Outlook::Unknown]
        .iter()
        .any(|outlook| outlooks.contains(outlook));
    let sleep = if outlooks.contains(&Outlook::Sleep) {
        " A task in uninterruptible sleep switches once what it waits for completes."
    } else {
        ""
    };
    if !by_signal && !blockers.is_empty() {
        return match sleep {
            "" => "Wait: the tasks that are left switch by themselves.".to_owned(),
            sleep => format!("Wait.{sleep}"),
        };
    }
    let signalled = match stuck.signals {
        Some(count) if count > 0 => {
            "the kernel has signalled the tasks that are left, and does so again"
        }
        Some(_) | None => "the kernel signals the tasks that are left",
    };
    let then = if sleep.is_empty() {
        "User tasks then switch."
    } else {
        "User tasks that it reaches then switch."
    };
    format!("Wait: {signalled} every 15 s. {then}{sleep}")
}

fn lacks_unwind_data(blocker: &Blocker) -> bool {
    blocker.reason == Some(Reason::NoUnwindData)
}

fn stalled(stuck: &Stuck<'_>, blockers: &[Blocker]) -> Vec<String> {
    let mut steps = Vec::new();
    let (blind, others): (Vec<&Blocker>, Vec<&Blocker>) = blockers
        .iter()
        .partition(|blocker| lacks_unwind_data(blocker));
    if !blind.is_empty() {
        steps.push(
            "A task in code without unwind data switches only when it leaves that code. Stop what \
             uses the code."
                .to_owned(),
        );
    }
    let count = |kind: fn(TaskKind) -> bool| {
        let others = others.iter();
        others.filter(|blocker| kind(blocker.kind())).count()
    };
    if count(TaskKind::is_kernel) > 0 {
        steps.push(
            "The kernel's signal does not move a kernel thread that stays in a patched function."
                .to_owned(),
        );
    }
    if count(|kind| kind == TaskKind::UserWorker) > 0 {
        steps.push("A user worker ends with the process for which it works.".to_owned());
    }
    if others.iter().any(|blocker| can_be_paused(blocker)) {
        steps.push(
            "Restart the services of the user tasks that are left, or pause each task for a moment."
                .to_owned(),
        );
    }
    steps.push(reverse(stuck.patch, stuck.direction));
    steps.push(force::warning(stuck.kernel, stuck.direction, stuck.replace));
    steps
}

/// Whether an operator can restart or pause the process of this task, and that helps.
fn can_be_paused(blocker: &Blocker) -> bool {
    let is_held = matches!(blocker.state, Some('D' | 'T' | 't'));
    blocker.kind().is_user()
        && blocker.tgid != 1
        && !is_held
        && blocker.reason != Some(Reason::Uninterruptible)
}

fn reverse(patch: &str, direction: Direction) -> String {
    let effect = match direction {
        Direction::Patching => "disables",
        Direction::Unpatching => "keeps",
    };
    format!(
        "Reverse the transition, which {effect} the patch:\n{}",
        reversal(patch, direction)
    )
}

#[cfg(test)]
mod tests;
