//! `lpwatch report`: as text, and as one HTML file.

mod chart;
mod html;

pub use html::html;

use super::page::{Page, Paint, painted, plain};
use super::style::Style;
use super::{explain, history, outcome, table, words};
use crate::model::TaskReport;
use crate::model::report::ReportDocument;

/// The report as text: what the commands print about the transition, one after the
/// other.
#[must_use]
pub fn text(report: &ReportDocument, style: &Style) -> String {
    let mut parts = vec![headline(report, style)];
    match (&report.ended, report.patch_name()) {
        (Some(record), _) => parts.push(history::one(record, &report.head, style)),
        (None, Some(patch)) => {
            let snapshot = report.snapshot();
            parts.push(table::status_of(patch, &snapshot, style));
            let tasks = TaskReport::of(&snapshot, Some(patch));
            let blockers = tasks.iter().flat_map(|tasks| {
                let shown = tasks.blockers.iter().take(SHOWN);
                shown.map(|blocker| explain::explain(blocker, tasks, style))
            });
            parts.extend(blockers);
        }
        (None, None) => {}
    }
    parts.push(events(report, style));
    parts.push(log(report, style));
    parts.push(facts(report, style));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// The most tasks of which all is shown.
const SHOWN: usize = 64;

/// One sentence: the state of a transition under way, or how it ended.
fn summary(report: &ReportDocument, style: &Style) -> String {
    match (report.past(), report.under_way()) {
        (Some(past), _) => outcome::past(past, style),
        (None, Some(transition)) => {
            let name = report.patch_name().unwrap_or_default();
            let mut text = format!("{}: {}", style.text(name), transition.direction.name());
            if let Some(phase) = transition.phase {
                text.push(' ');
                text.push_str(words::phase(phase).0);
            }
            if let Some(age) = transition.age_seconds.and_then(words::age) {
                text.push_str(" after ");
                text.push_str(&age);
            }
            if let Some(left) = transition.tasks_remaining {
                text.push_str("; ");
                text.push_str(&words::counted(left, "task"));
                text.push_str(" left");
            }
            text
        }
        (None, None) => String::new(),
    }
}

fn headline(report: &ReportDocument, style: &Style) -> String {
    let mut page = Page::new(style);
    let line = format!(
        "{} | {} | {} | lpwatch {}",
        style.text(&report.head.host),
        style.text(&report.head.kernel),
        report.head.taken_at.strftime("%F %H:%M:%S UTC"),
        report.lpwatch_version
    );
    page.line(&[], &[painted(Paint::Dim, line)]);
    page.finish()
}

fn events(report: &ReportDocument, style: &Style) -> String {
    if report.events.is_empty() {
        return String::new();
    }
    let mut page = Page::new(style);
    page.line(&[], &[plain("What happened:")]);
    for entry in &report.events {
        super::events::add(&mut page, entry);
    }
    page.finish()
}

fn log(report: &ReportDocument, style: &Style) -> String {
    if report.kernel_log.is_empty() {
        return String::new();
    }
    let mut page = Page::new(style);
    page.line(&[], &[plain("The kernel log:")]);
    for line in &report.kernel_log {
        let at = format!("[{:>12.6}] ", line.boot_seconds);
        page.line(&[painted(Paint::Dim, at)], &[plain(style.text(&line.text))]);
    }
    page.finish()
}

fn facts(report: &ReportDocument, style: &Style) -> String {
    let mut page = Page::new(style);
    page.line(&[], &[plain("How this host is observed now:")]);
    for probe in &report.probes {
        let line = format!(
            "{:<14} {:<8} {}",
            probe.fact.name(),
            probe.kind,
            style.text(&probe.target)
        );
        page.line(&[plain("  ")], &[plain(line)]);
    }
    for note in &report.notes {
        let prefix = [painted(Paint::Yellow, "Note: ")];
        page.line(&prefix, &[plain(style.text(note))]);
    }
    page.finish()
}
