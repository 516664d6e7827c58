//! The report as one HTML file without scripts, which loads nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{SHOWN, chart, summary};
use crate::{
    model::{
        Blocker,
        check::CheckSummary,
        journal::{Entry, EntryKind, HeldBlocker},
        report::ReportDocument,
        snapshot::{PhaseCalls, Severity, Transition},
        task_report,
    },
    render::{style::Style, why, words},
};

const CSS: &str = include_str!("report.css");

/// Text in a document: Unicode, without colours, not wrapped.
const PAPER: Style = Style {
    color: false,
    unicode: true,
    width: 10_000,
};

/// Foreign text, without control characters.
fn shown(text: &str) -> String {
    PAPER.text(text)
}

/// The report as one HTML file.
#[must_use]
pub fn html(report: &ReportDocument) -> String {
    let title = summary(report, &PAPER);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(CSS)) }
            }
            body {
                main {
                    h1 { (title) }
                    (facts(report))
                    (next(report))
                    (course(report))
                    (tasks(report))
                    (forecast(report))
                    (calls(report))
                    (events(&report.events))
                    (kernel_log(report))
                    (observed(report))
                }
            }
        }
    };
    page.into_string()
}

/// A row of a table of facts; nothing for an unknown value.
fn row(name: &str, value: Option<String>) -> Markup {
    html! { @if let Some(value) = value { tr { th { (name) } td { (value) } } } }
}

fn facts(report: &ReportDocument) -> Markup {
    let time = |time: jiff::Timestamp| time.strftime("%F %H:%M:%S UTC").to_string();
    let (past, now) = (report.past(), report.under_way());
    let started = past.map_or_else(|| now?.started_at, |past| past.started_at);
    let pick = |of_past: Option<u32>, of_now: Option<u32>| of_past.or(of_now);
    let number = |number: Option<u32>| number.map(|number| words::count(number.into()));
    let tries = pick(
        past.and_then(|one| one.tries_in_all),
        now.and_then(|one| one.tries_in_all),
    );
    let signals = pick(
        past.and_then(|one| one.signals_in_all),
        now.and_then(|one| one.signals_in_all),
    );
    let tasks = pick(
        past.and_then(|one| one.tasks_total),
        now.and_then(|one| one.tasks_total),
    );
    html! {
        table.facts {
            (row("Host", Some(shown(&report.head.host))))
            (row("Kernel", Some(shown(&report.head.kernel))))
            (row("Patch", report.patch_name().map(shown)))
            (row("Began", started.map(time)))
            (row("Ended", past.map(|past| time(past.ended_at))))
            (row("Took", past.and_then(|past| words::duration(past.duration_seconds?))))
            (row("Tasks", number(tasks)))
            (row("Tries of the kernel", number(tries)))
            (row("Signals of the kernel", number(signals)))
            (row("Written", Some(format!(
                "{} by lpwatch {}{}",
                time(report.head.taken_at),
                report.lpwatch_version,
                if report.redacted { ", names replaced" } else { "" }
            ))))
        }
    }
}

fn next(report: &ReportDocument) -> Markup {
    let steps = report.under_way().map_or(&[][..], |one| &one.next);
    html! {
        @if !steps.is_empty() {
            h2 { "What to do" }
            ul { @for step in steps { li { (advice(step)) } } }
        }
    }
}

/// A sentence, with each command on a line of its own.
fn advice(text: &str) -> Markup {
    let mut lines = text.lines();
    let sentence = lines.next().unwrap_or_default();
    html! { (shown(sentence)) @for command in lines { pre.command { (shown(command.trim())) } } }
}

/// Which events to mark in the course.
fn mark(kind: EntryKind) -> Option<&'static str> {
    Some(match kind {
        EntryKind::TasksSignalled => "signalled",
        EntryKind::TransitionStalled => "stalled",
        EntryKind::TransitionReversed => "reversed",
        EntryKind::TransitionForced => "forced",
        _ => return None,
    })
}

fn course(report: &ReportDocument) -> Markup {
    let began = |entry: &&Entry| {
        matches!(
            entry.kind,
            EntryKind::TransitionBegun | EntryKind::TransitionFound
        )
    };
    let first = report.events.iter().find(began);
    let marks: Vec<chart::Mark> = first
        .into_iter()
        .flat_map(|first| {
            let marked =
                |entry: &Entry| Some((entry.boot_seconds - first.boot_seconds, mark(entry.kind)?));
            report.events.iter().filter_map(marked)
        })
        .collect();
    html! {
        @if let Some(drawing) = chart::course(report.course(), &marks) {
            h2 { "Tasks left over time" }
            (drawing)
        }
    }
}

fn tasks(report: &ReportDocument) -> Markup {
    if let Some(transition) = report.under_way() {
        return left(transition);
    }
    let held = report
        .ended
        .as_ref()
        .map_or(&[][..], |record| &record.blockers);
    html! {
        @if !held.is_empty() {
            h2 { "Tasks that were left, the longest first" }
            @for task in held { (held_task(task)) }
        }
    }
}

fn left(transition: &Transition) -> Markup {
    let worst = task_report::worst_first(&transition.blockers);
    let more = worst.len().saturating_sub(SHOWN);
    html! {
        @if !worst.is_empty() {
            h2 { "Tasks left, the worst first" }
            @for task in worst.into_iter().take(SHOWN) { (blocker(task)) }
            @if more > 0 { p { "and " (more) " more" } }
        }
    }
}

fn blocker(task: &Blocker) -> Markup {
    let why = why::why(task, &PAPER).unwrap_or_else(|| "not inspected".to_owned());
    let since = task.since_seconds.and_then(words::age);
    html! {
        section.task {
            h3 { (shown(&task.comm)) " " span.id { (task.tid) } ": " (why) }
            p {
                (words::capital(&words::kind(task)))
                @if let Some(state) = task.state { ", state " (state) }
                @if let Some(since) = since { ", left for " (since) }
                @if let Some(check) = &task.kernel_check {
                    ". The kernel has checked it " (words::times(check.tries))
                }
                "."
            }
            @if let Some(text) = &task.advice { p { (advice(text)) } }
            (stack(&task.stack, task.blocking_frame))
        }
    }
}

fn held_task(task: &HeldBlocker) -> Markup {
    let reason = task.reason.map_or("not inspected", |reason| reason.name());
    let held = task.last_seconds - task.first_seconds;
    let held = (held > 0.0).then(|| words::duration(held)).flatten();
    html! {
        section.task {
            h3 {
                (shown(&task.comm)) " " span.id { (task.tid) } ": " (reason.replace('_', " "))
                @if let Some(function) = &task.function { " (" (shown(function)) ")" }
            }
            @match held {
                Some(held) => p { "Seen left for " (held) "." },
                None => p { "Seen left once." },
            }
            (stack(&task.stack, None))
        }
    }
}

fn stack(frames: &[String], blocking: Option<usize>) -> Markup {
    html! {
        @if !frames.is_empty() {
            ol.stack {
                @for (place, frame) in frames.iter().enumerate() {
                    @if Some(place) == blocking { li.blocking { (shown(frame)) } } @else { li { (shown(frame)) } }
                }
            }
        }
    }
}

fn forecast(report: &ReportDocument) -> Markup {
    let check: Option<&CheckSummary> = match report.past() {
        Some(past) => past.check.as_ref(),
        None => report.patch.as_ref().and_then(|patch| patch.check.as_ref()),
    };
    let came_true = report
        .ended
        .as_ref()
        .and_then(|record| record.forecast_came_true);
    html! {
        @if let Some(check) = check {
            h2 { "Forecast of lpwatch check" }
            p {
                (shown(&check.text))
                @match came_true {
                    Some(true) => " That came true.",
                    Some(false) => strong { " That did not come true." },
                    None => "",
                }
            }
        }
    }
}

fn calls(report: &ReportDocument) -> Markup {
    let phase = |calls: Option<&PhaseCalls>| {
        calls.map_or_else(String::new, |calls| {
            format!("{} / {}", words::count(calls.old), words::count(calls.new))
        })
    };
    let row = |name: &str, phases: [Option<&PhaseCalls>; 3]| {
        let [before, during, after] = phases.map(phase);
        [shown(name), before, during, after]
    };
    let rows: Vec<[String; 4]> = if let Some(record) = &report.ended {
        let functions = record.functions.iter();
        functions
            .map(|one| {
                row(
                    &one.name,
                    [one.before.as_ref(), one.during.as_ref(), one.after.as_ref()],
                )
            })
            .collect()
    } else {
        let objects = report.patch.iter().flat_map(|patch| &patch.objects);
        let counted = objects
            .flat_map(|object| &object.functions)
            .filter_map(|one| Some((&one.name, one.calls.as_ref()?)));
        counted
            .map(|(name, one)| {
                row(
                    name,
                    [one.before.as_ref(), one.during.as_ref(), one.after.as_ref()],
                )
            })
            .collect()
    };
    html! {
        @if !rows.is_empty() {
            h2 { "Calls of old / new code" }
            table {
                tr { th { "Function" } th { "Before" } th { "During" } th { "Enabled" } }
                @for row in rows { tr { @for cell in row { td { (cell) } } } }
            }
        }
    }
}

fn events(entries: &[Entry]) -> Markup {
    let class = |severity| match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Danger => "danger",
    };
    html! {
        @if !entries.is_empty() {
            h2 { "What happened" }
            table {
                @for entry in entries {
                    tr class=(class(entry.severity)) {
                        td.time { (entry.at.strftime("%F %H:%M:%S UTC").to_string()) }
                        td { (shown(&entry.message)) }
                    }
                }
            }
        }
    }
}

fn kernel_log(report: &ReportDocument) -> Markup {
    html! {
        @if !report.kernel_log.is_empty() {
            h2 { "Kernel log" }
            pre {
                @for line in &report.kernel_log {
                    (format!("[{:>12.6}] ", line.boot_seconds)) (shown(&line.text)) "\n"
                }
            }
        }
    }
}

fn observed(report: &ReportDocument) -> Markup {
    html! {
        h2 { "How this host is observed now" }
        table {
            tr { th { "Fact" } th { "By" } th { "Of" } }
            @for probe in &report.probes {
                tr {
                    td { (probe.fact.name()) }
                    td { (probe.kind) }
                    td { (shown(&probe.target)) }
                }
            }
        }
        @for note in &report.notes { p.note { "Note: " (shown(note)) } }
    }
}

#[cfg(test)]
mod tests;
