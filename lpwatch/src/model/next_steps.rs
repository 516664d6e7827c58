//! What to do next about a transition: a closed table, each step safe.
//!
//! lpwatch prints these and runs none of them. A command in a step follows its
//! sentence on a line of its own.

use super::{
    Blocker, Direction, EngineKind, Phase, Reason, TaskKind,
    advice::{in_main_function, other_engines, reversal},
    force,
    waits::{TransitionWait, WaitReason},
};

/// The transition that the steps are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck<'a> {
    pub engine: EngineKind,
    pub patch: &'a str,
    pub replace: Option<bool>,
    pub direction: Direction,
    /// How often the kernel has signalled the tasks left.
    pub signals: Option<u32>,
    /// The release of the running kernel.
    pub kernel: &'a str,
}

/// The steps for a transition in this phase.
pub(super) fn next_steps(
    stuck: &Stuck<'_>,
    phase: Option<Phase>,
    blockers: &[Blocker],
    wait: Option<&TransitionWait>,
) -> Vec<String> {
    let Stuck {
        engine,
        patch,
        direction,
        signals,
        ..
    } = *stuck;
    if engine != EngineKind::Livepatch {
        return other_engines::next_steps(engine, phase, blockers);
    }
    if let Some(wait) = wait {
        // The kernel's own work usually ends soon.
        let is_brief = wait.reason == WaitReason::Kernel
            && phase.is_none_or(|phase| phase == Phase::Progressing);
        return if is_brief { Vec::new() } else { wait.steps() };
    }
    match phase {
        None | Some(Phase::Progressing) => Vec::new(),
        // What never ends by itself is not waited for.
        Some(Phase::Slow | Phase::Long) if blockers.iter().any(never_switches) => {
            vec![reverse(patch, direction)]
        }
        Some(Phase::Slow | Phase::Long) => vec![waiting(signals, blockers)],
        Some(Phase::Stalled) => stalled(stuck, blockers),
    }
}

fn never_switches(blocker: &Blocker) -> bool {
    lacks_unwind_data(blocker)
        || (matches!(
            blocker.reason,
            Some(Reason::SleepingOnFunction | Reason::Uninterruptible)
        ) && in_main_function(blocker))
}

fn lacks_unwind_data(blocker: &Blocker) -> bool {
    blocker.reason == Some(Reason::NoUnwindData)
}

fn waiting(signals: Option<u32>, blockers: &[Blocker]) -> String {
    if !blockers.is_empty() && blockers.iter().all(|blocker| blocker.kthread) {
        return "Wait: only kernel threads are left. They switch when they next leave the \
                patched function."
            .to_owned();
    }
    let signalled = match signals {
        Some(count) if count > 0 => {
            "the kernel has signalled the tasks that are left, and does so again"
        }
        Some(_) | None => "the kernel signals the tasks that are left",
    };
    format!("Wait: {signalled} every 15 s. User tasks then switch.")
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
    if count(TaskKind::is_user) > 0 {
        steps.push(
            "Restart the services of the user tasks that are left, or pause each task for a moment."
                .to_owned(),
        );
    }
    steps.push(reverse(stuck.patch, stuck.direction));
    steps.push(force::warning(stuck.kernel, stuck.direction, stuck.replace));
    steps
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
mod tests {
    use super::*;
    use crate::model::samples::task;

    fn steps(phase: Phase, blockers: &[Blocker]) -> String {
        let stuck = Stuck {
            engine: EngineKind::Livepatch,
            patch: "lp",
            replace: Some(false),
            direction: Direction::Patching,
            signals: Some(1),
            kernel: "6.12.117",
        };
        next_steps(&stuck, Some(phase), blockers, None).join("\n")
    }

    #[test]
    fn code_without_unwind_data_is_not_waited_for() {
        for kthread in [false, true] {
            let blind = Blocker {
                reason: Some(Reason::NoUnwindData),
                ..task(7, "blob", kthread)
            };
            for phase in [Phase::Slow, Phase::Long, Phase::Stalled] {
                let text = steps(phase, std::slice::from_ref(&blind));
                assert!(
                    !text.contains("Wait") && !text.contains("patched"),
                    "{text}"
                );
                assert!(text.contains("echo 0 > "), "{text}");
            }
            let stalled = steps(Phase::Stalled, &[blind, task(8, "other", true)]);
            assert!(stalled.contains("leaves that code"), "{stalled}");
            assert!(stalled.contains("in a patched function"), "{stalled}");
        }
    }
}
