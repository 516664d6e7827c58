//! `lpwatch calls` and `lpwatch verify`: which code of each function runs.

mod proof;
#[cfg(test)]
mod tests;

use lpwatch_common::patch::VMLINUX;
use strum::VariantArray as _;

use super::columns::{Side, Title, columns};
use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::words;
use crate::model::calls::{
    figures::{Calls, Finding, PhaseCalls, Severity},
    proof::Proof,
    report::{CallsReport, CountedFunction, Effect},
};
use crate::model::{EngineKind, object_name};

const CALLS: [Title; 8] = [
    ("FUNCTION", Side::Left),
    ("BEFORE/S", Side::Right),
    ("DURING/S", Side::Right),
    ("NOW/S", Side::Right),
    ("OLD", Side::Right),
    ("NEW", Side::Right),
    ("NEW %", Side::Right),
    ("NEW CODE", Side::Left),
];

const VERIFY: [Title; 4] = [
    ("FUNCTION", Side::Left),
    ("ENTERED", Side::Right),
    ("EXPECTED", Side::Right),
    ("NEW CODE", Side::Left),
];

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Calls,
    Verify,
}

impl Table {
    fn titles(self) -> &'static [Title] {
        match self {
            Self::Calls => &CALLS,
            Self::Verify => &VERIFY,
        }
    }
}

/// The table of `lpwatch calls`.
#[must_use]
pub fn calls(report: &CallsReport, style: &Style) -> String {
    let mut page = Page::new(style);
    if report.functions.is_empty() && report.functions_unknown.is_empty() {
        let nothing = "No live patch is loaded, and no function is watched.";
        page.paragraph(0, &[plain(nothing)]);
    }
    draw(&mut page, report, Table::Calls, |function, style| {
        let calls = function.calls.as_ref();
        let phase = |of: fn(&Calls) -> Option<&PhaseCalls>| {
            let phase = calls.and_then(of);
            plain(phase.and_then(per_second).unwrap_or_default())
        };
        let count = |of: fn(&Calls) -> u64| {
            plain(calls.map_or(String::new(), |calls| words::count(of(calls))))
        };
        vec![
            plain(name(function, style)),
            phase(|calls| calls.before.as_ref()),
            phase(|calls| calls.during.as_ref()),
            plain(calls.and_then(now).unwrap_or_default()),
            count(|calls| calls.old),
            count(|calls| calls.new),
            plain(
                calls
                    .and_then(|calls| share(calls, &function.effect))
                    .unwrap_or_default(),
            ),
            effect(&function.effect),
        ]
    });
    page.finish()
}

/// The table of `lpwatch verify`, and what it proves.
#[must_use]
pub fn verify(report: &CallsReport, proof: &Proof, style: &Style) -> String {
    let mut page = Page::new(style);
    draw(&mut page, report, Table::Verify, |function, style| {
        let entered = function
            .calls
            .as_ref()
            .and_then(|calls| calls.entered.as_ref());
        let number = |number: Option<u64>| plain(number.map(words::count).unwrap_or_default());
        vec![
            plain(name(function, style)),
            number(entered.map(|entered| entered.entries)),
            number(entered.map(|entered| entered.expected)),
            effect(&function.effect),
        ]
    });
    proof::conclusion(&mut page, report, proof);
    page.finish()
}

fn draw(
    page: &mut Page<'_>,
    report: &CallsReport,
    table: Table,
    row: impl Fn(&CountedFunction, &Style) -> Vec<Span>,
) {
    let style = page.style;
    let mut rest = report.functions.as_slice();
    while let Some(first) = rest.first() {
        let end = rest
            .iter()
            .position(|function| function.patch != first.patch)
            .unwrap_or(rest.len());
        let (section, after) = rest.split_at(end);
        rest = after;
        page.blank();
        headline(page, first);
        let rows: Vec<Vec<Span>> = section
            .iter()
            .map(|function| row(function, style))
            .collect();
        columns(page, 2, table.titles(), &rows);
        for function in section {
            remarks(page, function, table);
        }
    }
    opaque(page, report);
    for note in &report.notes {
        page.blank();
        page.line(
            &[painted(Paint::Yellow, "Note: ")],
            &[plain(style.text(note))],
        );
    }
}

/// The patches whose functions are unknown, by system.
fn opaque(page: &mut Page<'_>, report: &CallsReport) {
    let style = page.style;
    for engine in EngineKind::VARIANTS {
        let patches = report.functions_unknown.iter();
        let patches = patches.filter(|patch| patch.engine == *engine);
        let names: Vec<String> = patches.map(|patch| style.text(&patch.patch)).collect();
        if names.is_empty() {
            continue;
        }
        let (is, its) = if names.len() == 1 {
            ("is", "its")
        } else {
            ("are", "their")
        };
        let text = format!(
            " {is} loaded, and {its} functions are unknown: {} does not show which functions it \
             changes.",
            words::engine(*engine).unwrap_or("livepatch"),
        );
        page.blank();
        page.paragraph(0, &[painted(Paint::Bold, names.join(", ")), plain(text)]);
    }
}

fn headline(page: &mut Page<'_>, function: &CountedFunction) {
    let style = page.style;
    let Some(patch) = &function.patch else {
        page.paragraph(0, &[painted(Paint::Bold, "Watched, not patched")]);
        return;
    };
    let state = match (&function.transition, function.enabled) {
        (Some(transition), _) => format!("in transition ({})", transition.direction.name()),
        (None, Some(false)) => "disabled".to_owned(),
        (None, Some(true)) => "enabled".to_owned(),
        (None, None) => words::STATE_UNKNOWN.to_owned(),
    };
    let name = painted(Paint::Bold, format!("{}  ", style.text(patch)));
    page.headline(&[name], &[plain(state)]);
}

/// `function`, or `module:function`; with its sympos if that is above 1.
fn name(function: &CountedFunction, style: &Style) -> String {
    let CountedFunction {
        object,
        name,
        sympos,
        ..
    } = function;
    let object = if object == VMLINUX {
        String::new()
    } else {
        format!("{object}:")
    };
    let position = if *sympos > 1 {
        format!(",{sympos}")
    } else {
        String::new()
    };
    style.text(&format!("{object}{name}{position}"))
}

fn per_second(phase: &PhaseCalls) -> Option<String> {
    let rate = phase.old_per_second? + phase.new_per_second?;
    Some(words::rate(rate))
}

/// Over the last ten seconds, or since counting began if that is shorter.
fn now(calls: &Calls) -> Option<String> {
    match (calls.old_per_second, calls.new_per_second) {
        (Some(old), Some(new)) => Some(words::rate(old + new)),
        _ => calls.after.as_ref().and_then(per_second),
    }
}

/// The share of new code now, in whole percent: 100 only if all calls ran it. If the
/// new code does not run, its entries limit the share.
fn share(calls: &Calls, effect: &Effect) -> Option<String> {
    let mut share = calls.new_share?;
    if *effect == Effect::NotEffective {
        share = share.min(calls.share_entered().unwrap_or_default());
    }
    Some(format!("{:.0}", (share * 100.0 + 1e-6).floor()))
}

fn effect(effect: &Effect) -> Span {
    match effect {
        Effect::Effective => painted(Paint::Green, "runs"),
        Effect::NotEffective => painted(Paint::Alarm, "DOES NOT RUN"),
        Effect::NotKnown { .. } => painted(Paint::Yellow, "unknown"),
        Effect::NotPatched => plain(""),
    }
}

/// What was found about a function, and what is unknown.
fn remarks(page: &mut Page<'_>, function: &CountedFunction, table: Table) {
    let style = page.style;
    let name = name(function, style);
    if let Effect::NotKnown { why } = &function.effect {
        let words = format!(
            "{name}: it is unknown whether the new code runs: {}.",
            style.text(why)
        );
        page.item(4, &[plain(words)]);
    } else if function.effect == Effect::NotEffective
        && let Some(why) = object_name::impossible(&function.object)
    {
        let words = format!("{name}: the new code never runs: {}.", style.text(&why));
        page.item(4, &[plain(words)]);
    } else if let Some(why) = &function.not_counted {
        page.item(
            4,
            &[plain(format!(
                "{name} is not counted: {}.",
                style.text(why)
            ))],
        );
    }
    let Some(calls) = &function.calls else {
        return;
    };
    if table == Table::Calls && function.patch.is_some() && calls.before.is_none() {
        let no_before = words::no_break("no BEFORE/S");
        let words =
            format!("{name}: counting began after the patch was loaded, so there is {no_before}.");
        page.item(4, &[painted(Paint::Dim, words)]);
    }
    if calls.uncertain > 0 {
        let words = format!(
            "{name}: for {} calls it is unknown which code they ran.",
            words::count(calls.uncertain)
        );
        page.item(4, &[plain(words)]);
    }
    for finding in &calls.findings {
        self::finding(page, finding);
    }
}

/// A finding and what to do.
pub(super) fn finding(page: &mut Page<'_>, finding: &Finding) {
    let style = page.style;
    let (word, paint) = match finding.severity {
        Severity::Danger => ("DANGER: ", Paint::Alarm),
        Severity::Warning => ("Warning: ", Paint::Yellow),
        Severity::Note => ("Note: ", Paint::Dim),
    };
    page.item(4, &[painted(paint, word), plain(style.text(&finding.text))]);
    for advice in &finding.advice {
        let arrow = plain(format!("      {} ", style.arrow()));
        page.step(&[arrow], advice);
    }
}
