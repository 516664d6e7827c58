//! What frees a task in a transition of another engine: kGraft or Ksplice.
//!
//! Sources: kgr(8) of SLE 12 for kGraft, which moves each task as it crosses
//! between kernel and user space; kmodsrc/ksplice.c of Ksplice 0.9.9, which
//! stops the machine and gives up while a stack holds a function to be changed.

use super::{Blocker, EngineKind, Phase, by_hand};

/// What frees this task; `None` where the engine does not say which tasks it waits for.
pub(super) fn advice(engine: EngineKind, blocker: &Blocker) -> Option<String> {
    match engine {
        EngineKind::Kgraft => Some(for_kgraft(blocker)),
        EngineKind::Ksplice => Some(for_ksplice(blocker)),
        // These change all tasks at once, or do not say which tasks they wait for.
        EngineKind::Livepatch
        | EngineKind::Kpatch
        | EngineKind::Kernelcare
        | EngineKind::Openeuler => None,
    }
}

fn for_kgraft(blocker: &Blocker) -> String {
    if blocker.kthread {
        return "It switches where its own loop lets kGraft switch it. No signal moves it."
            .to_owned();
    }
    if blocker.state == Some('D') {
        return "The kernel's signal does not reach it. It switches once what it waits for, often I/O, \
                completes."
            .to_owned();
    }
    format!(
        "It switches when it next crosses between kernel and user space. {}",
        by_hand(blocker)
    )
}

fn for_ksplice(blocker: &Blocker) -> String {
    if blocker.kthread {
        return "Ksplice cannot change this function while the thread is in it. No signal moves \
                it."
        .to_owned();
    }
    format!(
        "Ksplice cannot change this function while the task is in it. {}",
        by_hand(blocker)
    )
}

/// What to do next about the whole transition.
pub(crate) fn next_steps(
    engine: EngineKind,
    phase: Option<Phase>,
    blockers: &[Blocker],
) -> Vec<String> {
    let is_due = matches!(phase, Some(Phase::Slow | Phase::Long | Phase::Stalled));
    let steps: &[&str] = match engine {
        EngineKind::Kgraft if is_due && blockers.iter().any(|blocker| !blocker.kthread) => &[
            "Pause each user task that is left for a moment. This command does so for all:\n\
             kgr poke",
            "Do not force the transition: old and new code may then run side by side for good.",
        ],
        EngineKind::Kgraft if is_due => &[
            "Wait: each kernel thread switches where its own loop allows it. No signal moves \
               them.",
        ],
        EngineKind::Ksplice if is_due => &[
            "Free the tasks that are left, then apply the update again: Ksplice gave up because \
             of them.",
        ],
        _ => &[],
    };
    steps.iter().map(|&step| step.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_writes_to_livepatch() {
        for engine in [EngineKind::Kgraft, EngineKind::Ksplice] {
            for phase in [Phase::Slow, Phase::Long, Phase::Stalled] {
                let steps = next_steps(engine, Some(phase), &[]);
                assert!(!steps.is_empty());
                assert!(!steps.concat().contains("livepatch"), "{steps:?}");
            }
            assert!(next_steps(engine, Some(Phase::Progressing), &[]).is_empty());
        }
    }
}
