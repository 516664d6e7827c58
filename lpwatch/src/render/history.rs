//! `lpwatch history`.

use super::columns::{Side, Title, columns};
use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::{outcome, words};
use crate::model::{
    document::DocumentHead,
    journal::{FunctionCalls, HeldBlocker, HistoryDocument, Record},
    snapshot::PhaseCalls,
};

const TITLES: [Title; 7] = [
    ("PATCH", Side::Left),
    ("ID", Side::Right),
    ("ENDED (UTC)", Side::Left),
    ("DIRECTION", Side::Left),
    ("OUTCOME", Side::Left),
    ("TOOK", Side::Right),
    ("TASKS", Side::Right),
];

/// The transitions, one line each.
#[must_use]
pub fn list(document: &HistoryDocument, style: &Style) -> String {
    let mut page = Page::new(style);
    if document.transitions.is_empty() {
        page.line(&[], &[plain("The history contains no such transition.")]);
        return page.finish();
    }
    let row = |record: &Record| -> Vec<Span> {
        let past = &record.transition;
        let (outcome, paint) = words::outcome(past.outcome);
        let took = past.duration_seconds.and_then(words::duration);
        let tasks = past.tasks_total.map(|total| total.to_string());
        vec![
            painted(Paint::Bold, outcome::name(past, style)),
            plain(record.id.to_string()),
            plain(past.ended_at.strftime("%F %H:%M:%S").to_string()),
            plain(past.direction.map_or("", |direction| direction.name())),
            painted(paint, outcome),
            plain(took.unwrap_or_default()),
            plain(tasks.unwrap_or_default()),
        ]
    };
    let rows: Vec<Vec<Span>> = document.transitions.iter().map(row).collect();
    columns(&mut page, 0, &TITLES, &rows);
    page.finish()
}

/// All about one transition.
#[must_use]
pub fn one(record: &Record, head: &DocumentHead, style: &Style) -> String {
    let mut page = Page::new(style);
    let past = &record.transition;
    let prefix = [
        painted(Paint::Bold, outcome::name(past, style)),
        plain(": "),
    ];
    page.headline(&prefix, &outcome::story(past, style));
    let time = |time: jiff::Timestamp| time.strftime("%F %H:%M:%S UTC").to_string();
    let started = past.started_at.map_or_else(|| "unknown".to_owned(), time);
    fact(&mut page, "began", started);
    fact(&mut page, "ended", time(past.ended_at));
    fact(&mut page, "host", style.text(&head.host));
    if let Some(boot) = &record.boot_id {
        fact(&mut page, "boot", style.text(boot));
    }
    if record.reconstructed {
        let text = "the kernel log: no daemon followed it";
        fact(&mut page, "known from", text.to_owned());
    }
    if record.unwatched_seconds > 0.0 {
        let length = words::duration(record.unwatched_seconds).unwrap_or_default();
        let text = format!("for {length}: the daemon did not run");
        fact(&mut page, "not seen", text);
    }
    if let Some(check) = &past.check {
        let came_true = match record.forecast_came_true {
            Some(true) => " That came true.",
            Some(false) => " That did not come true.",
            None => "",
        };
        let text = format!("{}{came_true}", style.text(&check.text));
        fact(&mut page, "check", text);
    }
    course(&mut page, record);
    blockers(&mut page, &record.blockers);
    calls(&mut page, &record.functions);
    page.finish()
}

fn fact(page: &mut Page<'_>, name: &str, value: String) {
    let prefix = [painted(Paint::Dim, format!("  {name:<10}  "))];
    page.line(&prefix, &[plain(value)]);
}

/// The number of points of a course that are shown.
const SHOWN: usize = 12;

fn course(page: &mut Page<'_>, record: &Record) {
    if record.course.is_empty() {
        return;
    }
    page.blank();
    page.line(&[], &[plain("Tasks left over time:")]);
    let step = record.course.len().div_ceil(SHOWN);
    let last = record.course.len() - 1;
    let shown = record.course.iter().enumerate();
    let shown = shown.filter(|(place, _)| place % step == 0 || *place == last);
    let rows: Vec<Vec<Span>> = shown
        .map(|(_, point)| {
            let at = words::duration(point.seconds).unwrap_or_default();
            vec![plain(at), plain(point.remaining.to_string())]
        })
        .collect();
    let titles = [("AFTER", Side::Right), ("LEFT", Side::Right)];
    columns(page, 2, &titles, &rows);
}

fn blockers(page: &mut Page<'_>, blockers: &[HeldBlocker]) {
    if blockers.is_empty() {
        return;
    }
    page.blank();
    page.line(&[], &[plain("Tasks that were left, the longest first:")]);
    let titles = [
        ("COMM", Side::Left),
        ("TID", Side::Right),
        ("HELD", Side::Right),
        ("WHY", Side::Left),
    ];
    let style = *page.style;
    let direction = blockers[0].direction;
    let row = |held: &HeldBlocker| {
        let stay = held.last_seconds - held.first_seconds;
        let reason = held.reason.map_or("not inspected", |reason| reason.name());
        let mut why = reason.replace('_', " ");
        if let Some(function) = &held.function {
            why = format!("{why}: {}", style.text(function));
        }
        if held.direction != direction {
            why = format!("{why}, while {}", held.direction.name());
        }
        vec![
            plain(style.text(&held.comm)),
            plain(held.tid.to_string()),
            plain(held_for(stay)),
            plain(why),
        ]
    };
    let rows: Vec<Vec<Span>> = blockers.iter().map(row).collect();
    columns(page, 2, &titles, &rows);
}

/// A task that was seen left once was left for an unknown time.
fn held_for(seconds: f64) -> String {
    let time = || words::duration(seconds);
    let time = (seconds > 0.0).then(time).flatten();
    time.unwrap_or_else(|| "seen once".to_owned())
}

fn calls(page: &mut Page<'_>, functions: &[FunctionCalls]) {
    let is_counted =
        |one: &&FunctionCalls| one.before.is_some() || one.during.is_some() || one.after.is_some();
    let counted: Vec<&FunctionCalls> = functions.iter().filter(is_counted).collect();
    if counted.is_empty() {
        return;
    }
    page.blank();
    page.line(&[], &[plain("Calls of old/new code up to the end:")]);
    let titles = [
        ("FUNCTION", Side::Left),
        ("BEFORE", Side::Right),
        ("DURING", Side::Right),
        ("ENABLED", Side::Right),
    ];
    let style = *page.style;
    let phase = |calls: Option<&PhaseCalls>| {
        plain(calls.map_or_else(String::new, |calls| format!("{}/{}", calls.old, calls.new)))
    };
    let rows: Vec<Vec<Span>> = counted
        .iter()
        .map(|one| {
            vec![
                plain(style.text(&one.name)),
                phase(one.before.as_ref()),
                phase(one.during.as_ref()),
                phase(one.after.as_ref()),
            ]
        })
        .collect();
    columns(page, 2, &titles, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, journal::samples, samples as model};

    #[test]
    fn a_transition_is_a_line_and_all_about_it_a_page() {
        let mut record = samples::completed("lp_fix", 600);
        record.id = 7;
        let snapshot = model::snapshot(Vec::new());
        let document = HistoryDocument {
            head: snapshot.head.clone(),
            daemon: true,
            transitions: vec![record.clone()],
        };
        let text = list(&document, &Style::default());
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "lp_fix   7  2026-03-01 03:02:45  patching   completed  1.2 s     98"
        );
        record.transition.outcome = Outcome::Reversed;
        record.unwatched_seconds = 60.0;
        let text = one(&record, &snapshot.head, &Style::default());
        assert!(
            text.contains("reversed")
                && text.contains("Tasks left")
                && text.contains("the daemon did not run"),
            "{text}"
        );
    }
}
