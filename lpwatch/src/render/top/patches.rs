//! The patches, one line each.

use crate::model::Phase;
use crate::model::snapshot::{Patch, Snapshot};
use crate::render::{
    paint::{Paint, Span, painted, plain},
    style::Style,
    words,
};
use crate::text::{cells, truncate};

/// The patches in the order of `lpwatch status`.
pub(super) fn most_urgent_first(snapshot: &Snapshot) -> Vec<&Patch> {
    let mut patches: Vec<&Patch> = snapshot.patches.iter().collect();
    patches.sort_by_key(|patch| (crate::render::table::urgency(patch), patch.stack_order));
    patches
}

/// One line for each patch, the shown one marked.
pub(super) fn lines(patches: &[&Patch], shown: Option<&str>, style: &Style) -> Vec<Vec<Span>> {
    let longest = style.width / 3;
    let names: Vec<String> = patches
        .iter()
        .map(|patch| truncate(&style.text(&patch.name), longest, style.ellipsis()))
        .collect();
    let width = names.iter().map(|name| cells(name)).max().unwrap_or(0);
    let is_shown = |patch: &Patch| patches.len() > 1 && shown == Some(&patch.name);
    let lines = patches.iter().zip(&names).map(|(patch, name)| {
        let fill = " ".repeat(width.saturating_sub(cells(name)));
        let mut line = vec![
            plain(if is_shown(patch) { ">" } else { " " }),
            mark(patch),
            painted(Paint::Bold, format!(" {name}")),
            plain(format!("{fill}  ")),
        ];
        line.extend(state(patch));
        line
    });
    lines.collect()
}

fn mark(patch: &Patch) -> Span {
    match patch.transition.as_ref().map(|transition| transition.phase) {
        Some(Some(Phase::Stalled)) => painted(Paint::Alarm, "!"),
        Some(Some(Phase::Slow | Phase::Long)) => painted(Paint::Yellow, "~"),
        Some(_) => painted(Paint::Green, "~"),
        None if patch.was_refused() => painted(Paint::Red, "x"),
        None => plain(" "),
    }
}

/// `stalled, patching for 2 min 10 s, 1 of 98 tasks left`
fn state(patch: &Patch) -> Vec<Span> {
    let Some(transition) = &patch.transition else {
        return vec![match patch.enabled {
            Some(_) if patch.was_refused() => painted(Paint::Red, "refused"),
            Some(true) => painted(Paint::Green, "enabled"),
            Some(false) => painted(Paint::Dim, "disabled"),
            None => painted(Paint::Yellow, words::STATE_UNKNOWN),
        }];
    };
    let mut spans = Vec::new();
    if let Some(phase) = transition.phase {
        let (word, paint) = words::phase(phase);
        spans.extend([painted(paint, word), plain(", ")]);
    }
    let mut words = transition.direction.name().to_owned();
    if let Some(age) = transition.age_seconds.and_then(words::age) {
        words = format!("{words} for {age}");
    }
    match (transition.tasks_remaining, transition.tasks_total) {
        (Some(left), Some(total)) => words = format!("{words}, {left} of {total} tasks left"),
        (Some(left), None) => words = format!("{words}, {left} tasks left"),
        (None, _) => {}
    }
    spans.push(plain(words));
    if transition.reversed {
        spans.push(painted(Paint::Yellow, ", reversed"));
    }
    if transition.forced {
        spans.push(painted(Paint::Yellow, ", forced"));
    }
    spans
}
