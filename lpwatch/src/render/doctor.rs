//! The report of `lpwatch doctor`: the result first, then what the host offers and
//! lacks.

mod calibration;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::words;
use crate::model::ObservedFact;
use crate::model::doctor::{
    Availability, ChosenBy, ChosenHook, DoctorReport, FactSource, Offer, Readiness,
};
use crate::text;

/// The report, each line ended with a newline, none wider than the style
/// allows.
#[must_use]
pub fn doctor(report: &DoctorReport, style: &Style) -> String {
    let mut page = Page::new(style);
    headline(&mut page, report);
    offers(&mut page, &report.offers);
    if report.verdict == Readiness::NoLivepatch {
        page.blank();
        page.paragraph(
            0,
            &[plain(
                "No hook is chosen for any fact: there is nothing to watch.",
            )],
        );
    } else {
        facts(&mut page, report);
    }
    if let Some(calibration) = &report.calibration {
        calibration::section(&mut page, calibration);
    }
    remarks(&mut page, &report.notes);
    page.finish()
}

fn headline(page: &mut Page<'_>, report: &DoctorReport) {
    let paint = match report.verdict {
        Readiness::Well => Paint::Green,
        Readiness::Lacking | Readiness::NoPermission | Readiness::NoLivepatch => Paint::Yellow,
        Readiness::Danger => Paint::Alarm,
    };
    let style = page.style;
    page.paragraph(0, &[painted(paint, style.text(&report.summary))]);
    let host = [&report.head.host, &report.head.kernel, &report.arch];
    let parts: Vec<String> = host
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| words::no_break(&style.text(part)))
        .collect();
    let separator = format!(" {} ", style.separator());
    page.paragraph(0, &[painted(Paint::Dim, parts.join(&separator))]);
}

fn offers(page: &mut Page<'_>, offers: &[Offer]) {
    page.blank();
    page.paragraph(0, &[painted(Paint::Bold, "What this host offers")]);
    let widest = offers.iter().map(|offer| text::cells(&offer.name)).max();
    let width = widest.unwrap_or(0).min(page.style.width / 3);
    for offer in offers {
        one_offer(page, offer, width);
    }
}

fn one_offer(page: &mut Page<'_>, offer: &Offer, width: usize) {
    let style = page.style;
    let (mark, paint) = match offer.state {
        Availability::Available => ("yes", Paint::Green),
        Availability::Missing => ("no ", Paint::Red),
        Availability::Unknown => ("?  ", Paint::Yellow),
    };
    let name = text::truncate(&style.text(&offer.name), width, style.ellipsis());
    let prefix = [
        plain("  "),
        painted(paint, mark),
        plain(format!("  {}  ", padded(&name, width))),
    ];
    let value = offer.value.as_deref().unwrap_or_default();
    page.line(&prefix, &[painted(Paint::Dim, style.text(value))]);
    if offer.state == Availability::Available {
        return;
    }
    if let Some(lost) = &offer.lost {
        detail(page, "lost: ", Paint::Yellow, lost);
    }
    if let Some(remedy) = &offer.remedy {
        page.step(&[plain(format!("       {} ", style.arrow()))], remedy);
    }
}

fn detail(page: &mut Page<'_>, mark: &str, paint: Paint, words: &str) {
    let words = plain(page.style.text(words));
    page.line(&[plain("       "), painted(paint, mark)], &[words]);
}

/// The facts. Those of the same kind, for the same reason, share a heading.
fn facts(page: &mut Page<'_>, report: &DoctorReport) {
    page.blank();
    let title = match report.chosen_by {
        ChosenBy::Attaching => "The hook chosen for each fact, attached and detached again",
        ChosenBy::Daemon => "The hook that the daemon chose for each fact",
        ChosenBy::Policy => "The hook that would be chosen for each fact",
    };
    let mut spans = vec![painted(Paint::Bold, title)];
    if let Some(seconds) = report.attach_seconds.and_then(words::duration) {
        spans.push(painted(Paint::Dim, format!(" ({seconds})")));
    }
    page.paragraph(0, &spans);
    for group in grouped(&report.facts) {
        heading(page, group[0]);
        for fact in &group {
            one_fact(page, fact);
        }
    }
}

/// The facts by kind and reason, in the order of the first of each.
fn grouped(facts: &[ChosenHook]) -> Vec<Vec<&ChosenHook>> {
    let mut groups: Vec<Vec<&ChosenHook>> = Vec::new();
    for fact in facts {
        let alike = |group: &&mut Vec<&ChosenHook>| {
            let first = group[0];
            (first.kind, uses_fallback(first)) == (fact.kind, uses_fallback(fact))
                && first.why == fact.why
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(fact),
            None => groups.push(vec![fact]),
        }
    }
    groups
}

/// Whether a file replaces the hook.
fn uses_fallback(fact: &ChosenHook) -> bool {
    fact.fallen_back && fact.kind != FactSource::None
}

fn heading(page: &mut Page<'_>, first: &ChosenHook) {
    let (kind, paint) = match first.kind {
        FactSource::None => ("no hook", Paint::Yellow),
        kind => (kind.name(), Paint::Bold),
    };
    let instead = if uses_fallback(first) {
        ", because no hook is available"
    } else {
        ""
    };
    let why = format!("{instead}: {}", page.style.text(&first.why));
    page.item(2, &[painted(paint, kind), plain(why)]);
}

const FACT_WIDTH: usize = 14;

fn one_fact(page: &mut Page<'_>, fact: &ChosenHook) {
    let style = page.style;
    let prefix = [plain(format!(
        "    {}  ",
        padded(fact.fact.name(), FACT_WIDTH)
    ))];
    let mut spans: Vec<Span> = vec![plain(style.text(&fact.what))];
    if let Some(target) = &fact.target {
        spans.push(painted(Paint::Dim, format!(" ({})", style.text(target))));
    }
    if fact.works == Some(false) {
        spans.push(painted(Paint::Red, " does not work"));
    }
    page.line(&prefix, &spans);
    let fallback = match (&fact.fallback, fact.fallen_back, fact.kind) {
        (Some(fallback), true, _) => format!("instead: {fallback}"),
        (None, _, FactSource::None) => "instead: nothing, the fact is unknown".to_owned(),
        (Some(fallback), false, FactSource::Fentry) if fact.fact == ObservedFact::Calls => {
            format!("otherwise: {fallback}")
        }
        _ => return,
    };
    let indent = 4 + FACT_WIDTH + 2;
    page.line(
        &[plain(" ".repeat(indent))],
        &[painted(Paint::Yellow, style.text(&fallback))],
    );
}

fn remarks(page: &mut Page<'_>, notes: &[String]) {
    for (nth, note) in notes.iter().enumerate() {
        if nth == 0 {
            page.blank();
        }
        let note = plain(page.style.text(note));
        page.line(&[painted(Paint::Yellow, "Note: ")], &[note]);
    }
}

/// `text` filled up with spaces to `width` cells.
fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text::cells(text));
    format!("{text}{}", " ".repeat(missing))
}
