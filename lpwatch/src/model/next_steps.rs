//! What to do next about a transition: a closed table, each line safe.
//!
//! lpwatch prints these and runs none of them.

use super::{Blocker, Direction, EngineKind, Phase, advice::elsewhere};

/// The advice for a transition that stands like this.
pub(super) fn next_steps(
    engine: EngineKind,
    patch: &str,
    direction: Direction,
    phase: Option<Phase>,
    signals: Option<u32>,
    blockers: &[Blocker],
) -> Vec<String> {
    if engine != EngineKind::Livepatch {
        return elsewhere::next_steps(engine, phase, blockers);
    }
    match phase {
        None | Some(Phase::Progressing) => Vec::new(),
        Some(Phase::Slow | Phase::Long) => vec![waiting(signals, blockers)],
        Some(Phase::Stalled) => stalled(patch, direction, blockers),
    }
}

fn waiting(signals: Option<u32>, blockers: &[Blocker]) -> String {
    let signalled = match signals {
        Some(count) if count > 0 => "the kernel has signalled the tasks left and does so again",
        Some(_) | None => "the kernel signals the tasks left",
    };
    if !blockers.is_empty() && blockers.iter().all(|blocker| blocker.kthread) {
        return "Wait: only kernel threads are left; they switch when they next leave the \
                patched function."
            .to_owned();
    }
    format!("Wait: {signalled} every 15 s; user tasks then switch.")
}

fn stalled(patch: &str, direction: Direction, blockers: &[Blocker]) -> Vec<String> {
    let mut steps = Vec::new();
    let kthreads = blockers.iter().filter(|blocker| blocker.kthread).count();
    if kthreads > 0 {
        steps.push(
            "The kernel's signal does not move a kernel thread that stays in a patched function."
                .to_owned(),
        );
    }
    if kthreads < blockers.len() {
        steps.push(
            "Restart, or stop and continue (kill -STOP, then -CONT), the user tasks left."
                .to_owned(),
        );
    }
    let (value, verb) = match direction {
        Direction::Patching => (0, "Take the patch back"),
        Direction::Unpatching => (1, "Keep the patch"),
    };
    steps.push(format!(
        "{verb}: echo {value} > /sys/kernel/livepatch/{patch}/enabled"
    ));
    steps.push(
        "Do not force it: the module can then never be removed, and old and new code may mix."
            .to_owned(),
    );
    steps
}
