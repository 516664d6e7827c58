//! `lpwatch events`.

use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use crate::model::{
    journal::{Entry, EventsDocument},
    snapshot::Severity,
};

/// The events, one line each.
#[must_use]
pub fn events(document: &EventsDocument, style: &Style) -> String {
    let mut page = Page::new(style);
    for entry in &document.events {
        add(&mut page, entry);
    }
    if document.events.is_empty() {
        page.line(&[], &[plain("No events.")]);
    }
    for note in &document.notes {
        page.line(
            &[painted(Paint::Yellow, "Note: ")],
            &[plain(style.text(note))],
        );
    }
    page.finish()
}

/// One event.
#[must_use]
pub fn line(entry: &Entry, style: &Style) -> String {
    let mut page = Page::new(style);
    add(&mut page, entry);
    page.finish()
}

pub(super) fn add(page: &mut Page<'_>, entry: &Entry) {
    let at = entry.at.strftime("%F %H:%M:%S").to_string();
    let text = page.style.text(&entry.message);
    let prefix = [painted(Paint::Dim, at), plain("  ")];
    page.line(&prefix, &[message(entry.severity, text)]);
}

fn message(severity: Severity, text: String) -> Span {
    match severity {
        Severity::Note => plain(text),
        Severity::Warning => painted(Paint::Yellow, text),
        Severity::Danger => painted(Paint::Red, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::samples;

    #[test]
    fn an_event_is_a_time_and_a_sentence() {
        let entry = samples::entry("lp_fix");
        assert_eq!(
            line(&entry, &Style::default()),
            "2026-03-01 03:12:45  lp_fix is enabled.\n"
        );
    }

    #[test]
    fn foreign_text_is_escaped() {
        let entry = samples::entry("a\u{1b}[2Jb");
        assert!(!line(&entry, &Style::default()).contains('\u{1b}'));
    }
}
