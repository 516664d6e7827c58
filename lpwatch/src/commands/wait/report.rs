//! How a wait ended, and the words for it.

use crate::{
    exit::Exit,
    model::{
        Direction, ObservedFact, Phase, Snapshot, TaskReport,
        snapshot::{PastTransition, Patch, Transition},
    },
    render::{self, style::Style},
    text::quoted,
};

use crate::commands::status::has_failed;

/// How the wait ended.
#[derive(Debug)]
pub(super) struct WaitReport {
    pub patch: Option<String>,
    pub result: &'static str,
    pub exit: Exit,
    /// The transition that has ended; `None` if none has.
    pub ended: Option<PastTransition>,
    /// Whether the patch is enabled; `null` if it is not loaded or that is unknown.
    pub enabled: Option<bool>,
    /// The patches that are in transition instead of the one asked for.
    pub also_in_transition: Vec<String>,
    /// The transition that goes on; `None` if none does.
    pub unfinished: Option<TaskReport>,
    pub line: String,
}

impl WaitReport {
    /// Whether the transition goes on.
    pub fn goes_on(&self) -> bool {
        self.unfinished.is_some()
    }
}

/// The transition of `patch` that goes on when the wait is over.
pub(super) fn unfinished(snapshot: &Snapshot, patch: &str) -> Option<TaskReport> {
    let mut report = TaskReport::of(snapshot, Some(patch))?;
    let command = format!("\nlpwatch tasks {}", quoted(patch));
    if !report.next.iter().any(|step| step.ends_with(&command)) {
        let words = "To see which tasks are left, and what frees them:";
        report.next.insert(0, format!("{words}{command}"));
    }
    Some(report)
}

pub(super) fn report(
    patch: Option<String>,
    exit: Exit,
    result: &'static str,
    ended: Option<PastTransition>,
    line: impl FnOnce() -> String,
) -> WaitReport {
    WaitReport {
        patch,
        result,
        exit,
        ended,
        enabled: None,
        also_in_transition: Vec::new(),
        unfinished: None,
        line: line(),
    }
}

/// Whether ended transitions are known, from the kernel log or a daemon.
pub(super) fn reads_log(snapshot: &Snapshot) -> bool {
    let mut logs = snapshot
        .probes
        .iter()
        .filter(|probe| probe.fact == ObservedFact::Log);
    snapshot.daemon || logs.all(|probe| probe.attached)
}

/// Whether a transition that has ended says nothing of the patch now: something else
/// has happened since, or it failed and the patch is in force.
pub(super) fn is_past(past: &PastTransition, loaded: &Patch) -> bool {
    contradicts(past, loaded) || (loaded.enabled == Some(true) && !past.outcome.is_success())
}

/// Whether a patch is not loaded because of how this transition ended.
pub(super) fn explains_absence(past: &PastTransition) -> bool {
    let was_removed = past.outcome.is_success() && past.direction == Some(Direction::Unpatching);
    was_removed || has_failed(past.outcome)
}

/// Whether `loaded` is not in the state in which this transition left it.
fn contradicts(past: &PastTransition, loaded: &Patch) -> bool {
    let has_ended_well = past.outcome.is_success();
    let left_enabled = match past.direction {
        Some(Direction::Unpatching) => !has_ended_well,
        Some(Direction::Patching) | None => has_ended_well,
    };
    loaded
        .enabled
        .is_some_and(|enabled| enabled != left_enabled)
}

pub(super) fn state(loaded: &Patch) -> &'static str {
    match loaded.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "loaded, not known whether enabled",
    }
}

/// The names of all patches in transition.
pub(super) fn in_transition(snapshot: &Snapshot) -> Vec<String> {
    let moving = snapshot
        .patches
        .iter()
        .filter(|patch| patch.transition.is_some());
    moving.map(|patch| patch.name.clone()).collect()
}

pub(super) fn left(transition: &Transition, style: &Style) -> String {
    if let Some(wait) = &transition.waits_for {
        let sentence = render::waits::sentence(wait, style);
        return format!(". {}", sentence.trim_end_matches('.'));
    }
    match (transition.tasks_remaining, transition.tasks_total) {
        (Some(left), Some(total)) => format!("; {left} of {total} tasks left on old code"),
        _ => String::new(),
    }
}

/// What a stall means if lpwatch has not seen when a task last switched: it goes by the
/// age of the transition.
pub(super) fn by_age(transition: &Transition) -> String {
    match (transition.seconds_without_progress, transition.age_seconds) {
        (None, Some(age)) if transition.waits_for.is_none() => {
            format!(": it has not ended for {age:.0} s, and whether tasks switch is unknown")
        }
        _ => String::new(),
    }
}

pub(super) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Progressing => "progressing",
        Phase::Slow => "slow",
        Phase::Long => "long",
        Phase::Stalled => "stalled",
    }
}
