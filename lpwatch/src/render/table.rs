//! The table of `lpwatch status`: what matters comes first.

mod blockers;
mod patch;
#[cfg(test)]
mod reason_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;
mod transition;

use super::outcome;
use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::words;
use crate::model::Phase;
use crate::model::snapshot::{Patch, Snapshot, Source};
use crate::text;

/// How many of the last transitions are shown.
const PAST_SHOWN: usize = 5;

/// The table, each line ended with a newline, none wider than the style
/// allows, except commands. Stalled transitions come first, patches that are not in
/// transition last.
#[must_use]
pub fn status(snapshot: &Snapshot, style: &Style) -> String {
    draw(snapshot, "No live patch is loaded.", style)
}

/// The same for a snapshot reduced to one patch: others may be loaded even if this
/// one is not.
#[must_use]
pub fn status_of(patch: &str, snapshot: &Snapshot, style: &Style) -> String {
    let none = format!("No live patch named {} is loaded.", style.text(patch));
    draw(snapshot, &none, style)
}

fn draw(snapshot: &Snapshot, none: &str, style: &Style) -> String {
    let mut page = Page::new(style);
    if snapshot.patches.is_empty() {
        page.paragraph(0, &[plain(none)]);
    }
    let mut patches: Vec<&Patch> = snapshot.patches.iter().collect();
    patches.sort_by_key(|patch| (urgency(patch), patch.stack_order));
    let (in_transition, settled): (Vec<&Patch>, Vec<&Patch>) = patches
        .into_iter()
        .partition(|patch| patch.transition.is_some());
    for patch in in_transition {
        page.blank();
        patch::in_transition(&mut page, patch, snapshot.head.taken_at);
    }
    if !settled.is_empty() {
        page.blank();
        patch::settled(&mut page, &settled);
    }
    last_transitions(&mut page, snapshot);
    remarks(&mut page, snapshot);
    if !snapshot.patches.is_empty() || !snapshot.last_transitions.is_empty() {
        origin(&mut page, snapshot);
    }
    page.finish()
}

/// Patches with a lower number are shown first.
pub(super) fn urgency(patch: &Patch) -> u8 {
    match patch.transition.as_ref().map(|transition| transition.phase) {
        Some(Some(Phase::Stalled)) => 0,
        Some(Some(Phase::Long)) => 1,
        Some(Some(Phase::Slow)) => 2,
        Some(None) => 3,
        Some(Some(Phase::Progressing)) => 4,
        None => 5,
    }
}

fn last_transitions(page: &mut Page<'_>, snapshot: &Snapshot) {
    let shown = &snapshot.last_transitions[..snapshot.last_transitions.len().min(PAST_SHOWN)];
    if shown.is_empty() {
        return;
    }
    let style = page.style;
    page.blank();
    page.paragraph(
        0,
        &[
            painted(Paint::Bold, "Last transitions"),
            painted(Paint::Dim, " (UTC)"),
        ],
    );
    let rows: Vec<_> = shown
        .iter()
        .map(|past| {
            let time = words::clock(past.ended_at, snapshot.head.taken_at);
            let name = outcome::name(past, style);
            (
                time,
                text::truncate(&name, style.width / 3, style.ellipsis()),
                past,
            )
        })
        .collect();
    let time_width = rows
        .iter()
        .map(|(time, ..)| text::cells(time))
        .max()
        .unwrap_or(0);
    let name_width = rows
        .iter()
        .map(|(_, name, _)| text::cells(name))
        .max()
        .unwrap_or(0);
    for (time, name, past) in rows {
        let prefix = [
            painted(Paint::Dim, format!("  {}  ", padded(&time, time_width))),
            plain(format!("{}  ", padded(&name, name_width))),
        ];
        page.line(&prefix, &outcome::story(past, style));
    }
}

/// What is missing, so that a lack of data does not look like health.
fn remarks(page: &mut Page<'_>, snapshot: &Snapshot) {
    let lost = snapshot.events_lost;
    if snapshot.notes.is_empty() && lost == 0 {
        return;
    }
    page.blank();
    if lost > 0 {
        let (events, were) = (
            words::counted(lost, "kernel event"),
            if lost == 1 { "was" } else { "were" },
        );
        let words = format!("{events} {were} lost. lpwatch has read the state again instead.");
        page.line(&[painted(Paint::Yellow, "Note: ")], &[plain(words)]);
    }
    for note in &snapshot.notes {
        page.line(
            &[painted(Paint::Yellow, "Note: ")],
            &[plain(page.style.text(note))],
        );
    }
}

/// The host and the time: a pasted table must contain them.
fn origin(page: &mut Page<'_>, snapshot: &Snapshot) {
    let style = page.style;
    let source = match snapshot.head.source {
        Source::Bpf => "tasks read by BPF",
        Source::Procfs => "tasks read from /proc",
        Source::Sysfs | Source::Prometheus => "no tasks read",
    };
    let parts = [
        style.text(&snapshot.head.host),
        style.text(&snapshot.head.kernel),
        format!("{} UTC", snapshot.head.taken_at.strftime("%H:%M:%S")),
        source.to_owned(),
        if snapshot.daemon {
            "daemon"
        } else {
            "no daemon"
        }
        .to_owned(),
    ];
    let mut spans: Vec<Span> = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let separator = if spans.is_empty() {
            String::new()
        } else {
            format!(" {} ", style.separator())
        };
        spans.push(painted(
            Paint::Dim,
            format!("{separator}{}", words::no_break(part)),
        ));
    }
    page.blank();
    page.paragraph(0, &spans);
}

/// `text` filled up with spaces to `width` cells.
fn padded(text: &str, width: usize) -> String {
    format!(
        "{text}{}",
        " ".repeat(width.saturating_sub(text::cells(text)))
    )
}
