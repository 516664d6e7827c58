//! `lpwatch check`: the verdict first, then the findings, then the forecast.

#[cfg(test)]
mod tests;

use super::page::{Page, Paint, painted, plain};
use super::style::Style;
use super::words;
use crate::check::rules::Rule;
use crate::model::check::{CheckFinding, CheckReport, CheckVerdict, ForecastOutcome};
use crate::model::snapshot::Severity;

/// Lines of evidence shown of one finding.
const EVIDENCE: usize = 8;

/// The report as a table.
#[must_use]
pub fn check(report: &CheckReport, style: &Style) -> String {
    let mut page = Page::new(style);
    verdict(&mut page, report);
    for finding in &report.findings {
        page.blank();
        self::finding(&mut page, finding);
    }
    page.blank();
    page.step(&[painted(Paint::Bold, "Expect: ")], &report.forecast.text);
    for note in &report.notes {
        page.blank();
        page.line(
            &[painted(Paint::Yellow, "Note: ")],
            &[plain(style.text(note))],
        );
    }
    page.finish()
}

/// `DANGER  lp_stall: do not load it here now.`
fn verdict(page: &mut Page<'_>, report: &CheckReport) {
    let style = page.style;
    let patch = report.patch.as_deref().or(report.file.as_deref());
    let name = style.text(patch.unwrap_or("patch"));
    let is_loaded = report.forecast.outcome == ForecastOutcome::Loaded;
    let (word, paint, words) = match report.verdict {
        CheckVerdict::Safe if is_loaded => ("SAFE", Paint::Green, "no problem was found"),
        CheckVerdict::Safe => ("SAFE", Paint::Green, "can be loaded here now"),
        CheckVerdict::Warning if is_loaded => ("WARNING", Paint::Yellow, "read the findings"),
        CheckVerdict::Warning => (
            "WARNING",
            Paint::Yellow,
            "read the findings before you load it here",
        ),
        CheckVerdict::Danger if is_loaded => {
            ("DANGER", Paint::Alarm, "a problem was found on this host")
        }
        CheckVerdict::Danger => ("DANGER", Paint::Alarm, "do not load it here now"),
    };
    page.headline(
        &[painted(paint, format!("{word}  "))],
        &[painted(Paint::Bold, name), plain(format!(": {words}."))],
    );
    if !report.head.host.is_empty() {
        let place = format!(
            "{} {} {} {} UTC",
            style.text(&report.head.host),
            style.text(&report.head.kernel),
            style.separator(),
            report.head.taken_at.strftime("%F %H:%M:%S"),
        );
        page.paragraph(2, &[painted(Paint::Dim, words::no_break(&place))]);
    }
}

fn finding(page: &mut Page<'_>, finding: &CheckFinding) {
    let style = page.style;
    let CheckFinding {
        rule,
        severity,
        text,
        evidence,
        remedy,
        refusal,
    } = finding;
    let (word, paint) = match severity {
        Severity::Danger => ("danger", Paint::Alarm),
        Severity::Warning => ("warning", Paint::Yellow),
        Severity::Note => ("note", Paint::Dim),
    };
    let mut body = vec![plain(style.text(text))];
    if let Some(refusal) = refusal {
        body.push(plain(format!(" [{}]", words::errno(refusal.errno))));
    }
    body.push(painted(Paint::Dim, format!(" ({rule})")));
    page.item(
        0,
        &[vec![painted(paint, format!("{word}: "))], body].concat(),
    );
    for line in evidence.iter().take(EVIDENCE) {
        page.item(4, &[painted(Paint::Dim, style.text(line))]);
    }
    if evidence.len() > EVIDENCE {
        let more = format!(
            "{} and {} more",
            style.ellipsis(),
            evidence.len() - EVIDENCE
        );
        page.paragraph(4, &[painted(Paint::Dim, more)]);
    }
    for line in remedy {
        page.step(&[plain(format!("  {} ", style.arrow()))], line);
    }
}

/// The background of a rule, for `--explain`.
#[must_use]
pub fn explain(rule: &Rule, style: &Style) -> String {
    let mut page = Page::new(style);
    page.headline(
        &[painted(Paint::Bold, format!("{}  ", rule.id))],
        &[plain(rule.title)],
    );
    for paragraph in rule.background.split("\n\n") {
        page.blank();
        page.paragraph(0, &[plain(paragraph)]);
    }
    page.blank();
    page.paragraph(0, &[painted(Paint::Bold, "Sources")]);
    for source in rule.sources {
        page.item(2, &[plain(*source)]);
    }
    page.finish()
}

/// All rules, one a line.
#[must_use]
pub fn rules(rules: &[Rule], style: &Style) -> String {
    let mut page = Page::new(style);
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    for rule in rules {
        let id = painted(Paint::Bold, format!("{:<width$}  ", rule.id));
        page.line(&[id], &[plain(rule.title)]);
    }
    page.finish()
}
