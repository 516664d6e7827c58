//! What is reported of a transition, in sentences.

use crate::model::{
    Direction, Operator, Phase, Reason,
    journal::{
        Details, EntryKind, News,
        news::Draft,
        words::{doing, tasks},
    },
    snapshot::{PastTransition, Patch, Transition},
    task_report::by_reason,
};

/// The values that all reports of a transition have.
pub(super) fn details(patch: &Patch, transition: &Transition) -> Details {
    Details {
        engine: Some(patch.engine),
        direction: Some(transition.direction),
        seconds: transition.age_seconds,
        tasks_total: transition.tasks_total,
        tasks_remaining: transition.tasks_remaining,
        tries: transition.tries_in_all,
        signals: transition.signals_in_all,
        ..Details::default()
    }
}

pub(super) fn begun(direction: Direction, patch: &str) -> String {
    match direction {
        Direction::Patching => {
            format!("A transition began: the kernel enables {patch}, and tasks switch to its code.")
        }
        Direction::Unpatching => {
            format!("A transition began: the kernel disables {patch}, and tasks leave its code.")
        }
    }
}

/// The report of a transition that was under way before.
pub(super) fn found(patch: &Patch, transition: &Transition) -> Draft {
    let phase = match transition.phase {
        Some(Phase::Stalled) => " It is stalled.",
        Some(Phase::Long) => " It is long.",
        Some(Phase::Slow) => " It is slow.",
        Some(Phase::Progressing) | None => "",
    };
    let text = format!(
        "The transition was under way when lpwatch first saw it: {}.{phase}",
        doing(transition.direction, &patch.name)
    );
    let mut details = details(patch, transition);
    let draft = Draft::new(EntryKind::TransitionFound, text);
    if transition.phase == Some(Phase::Stalled) {
        details.by_reason = by_reason(&transition.blockers.iter().collect::<Vec<_>>());
        return draft.danger().with(details);
    }
    draft.with(details)
}

/// Reports the beginning of a transition that ended before it was seen.
pub fn begun_unseen(past: &PastTransition, news: &mut News) {
    let (Some(direction), Some(started)) = (past.direction, past.started_at) else {
        return;
    };
    let patch = past.patch.as_deref().unwrap_or("a patch");
    let mut draft = Draft::new(EntryKind::TransitionBegun, begun(direction, patch))
        .at(Some(started))
        .with(Details {
            engine: past.engine,
            direction: Some(direction),
            ..Details::default()
        });
    draft.patch.clone_from(&past.patch);
    news.push(draft);
}

/// ` 3 tasks left.`, or nothing if that is unknown. Idle tasks have no folder in /proc, so
/// they are no part of the number.
pub(super) fn left(transition: &Transition) -> String {
    let is_idle = |left: u32| {
        let mut blockers = transition.blockers.iter();
        left == 0 && blockers.any(|blocker| blocker.reason == Some(Reason::Idle))
    };
    match transition.tasks_remaining {
        Some(left) if is_idle(left) => " Only idle tasks are left.".to_owned(),
        Some(left) => format!(" {} left.", tasks(left)),
        None => String::new(),
    }
}

pub(super) fn reversed(
    name: &str,
    direction: Direction,
    by: Option<&Operator>,
    details: Details,
) -> Draft {
    let text = format!(
        "An operator reversed the transition: now {}.",
        doing(direction, name)
    );
    let details = Details {
        direction: Some(direction),
        ..details
    };
    ordered(EntryKind::TransitionReversed, text, by, details).warning()
}

/// What an operator ordered, with who that was if it is known.
pub(super) fn ordered(
    kind: EntryKind,
    mut text: String,
    by: Option<&Operator>,
    details: Details,
) -> Draft {
    if let Some(by) = by {
        text.push_str(" It was ");
        text.push_str(&by.words());
        text.push('.');
    }
    Draft::new(kind, text).with(Details {
        tid: by.map(|by| by.tid),
        comm: by.map(|by| by.comm.clone()),
        uid: by.map(|by| by.uid),
        login_uid: by.and_then(|by| by.login_uid),
        ..details
    })
}

pub(super) fn switched_draft(
    name: &str,
    switched: u32,
    left: Option<u32>,
    details: Details,
) -> Draft {
    let of = details.tasks_total.map(|total| format!(" of {total}"));
    let text = format!(
        "{} switched or ended; {} left{}.",
        tasks(switched),
        left.unwrap_or(0),
        of.unwrap_or_default()
    );
    Draft::new(EntryKind::TasksSwitched, text)
        .of(name)
        .with(Details {
            tasks_switched: Some(switched),
            tasks_remaining: left,
            ..details
        })
}
