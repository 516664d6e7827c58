//! A transition in the table: its phase, its progress, what to do.

use lpwatch_common::patch::VMLINUX;

use super::blockers;
use crate::model::snapshot::{Patch, Transition, TrendPoint};
use crate::model::task_report::worst_first;
use crate::model::{Blocker, Direction, OBJECT_UNKNOWN, Phase};
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::{command, waits, why, words};

/// How many numbers of the trend, and how many functions, are shown.
const TREND_SHOWN: usize = 4;
const FUNCTIONS_SHOWN: usize = 3;
/// How many different pieces of advice for the tasks left are shown.
const ADVICE_SHOWN: usize = 3;

/// `stalled, in transition (patching) for 2 min 10 s`
pub(super) fn headline(transition: &Transition, engine: Option<&'static str>) -> Vec<Span> {
    let direction = match (transition.direction, transition.reversed) {
        (direction, false) => direction.name(),
        (Direction::Patching, true) => "unpatching reversed, now patching",
        (Direction::Unpatching, true) => "patching reversed, now unpatching",
    };
    let mut spans = Vec::new();
    if let Some(phase) = transition.phase {
        let (word, paint) = words::phase(phase);
        spans.push(painted(paint, word));
        spans.push(plain(", "));
    }
    spans.push(plain(format!("in transition ({direction})")));
    if let Some(age) = transition.age_seconds.and_then(words::age) {
        spans.push(plain(format!(" for {age}")));
    }
    if transition.forced {
        spans.push(painted(Paint::Yellow, ", forced"));
    }
    if let Some(engine) = engine {
        spans.push(plain(format!(", {engine}")));
    }
    spans
}

/// The progress, and unless all is well, what the kernel has tried.
pub(super) fn details(page: &mut Page<'_>, patch: &Patch, transition: &Transition) {
    progress(page, transition);
    let is_held = waits::of_transition(page, transition);
    if transition.phase == Some(Phase::Progressing) {
        return;
    }
    if is_held {
        changes(page, patch);
        return;
    }
    let mut parts = Vec::new();
    if let Some(idle) = transition.seconds_without_progress.and_then(words::age) {
        parts.push(format!("no task has switched for {idle}"));
    }
    let efforts: Vec<String> = [
        transition
            .tries
            .map(|tries| format!("tried {}", words::times(tries))),
        transition
            .signals
            .filter(|&signals| signals > 0)
            .map(|signals| format!("signalled {}", words::times(signals))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !efforts.is_empty() {
        let since = if transition.reversed {
            " since the reversal"
        } else {
            ""
        };
        parts.push(format!("the kernel has {}{since}", efforts.join(" and ")));
    }
    if !parts.is_empty() {
        page.paragraph(2, &[plain(sentence(&parts.join("; ")))]);
    }
    changes(page, patch);
}

fn changes(page: &mut Page<'_>, patch: &Patch) {
    if let Some(functions) = functions(page, patch) {
        page.paragraph(2, &[plain(functions)]);
    }
}

/// The bar, the number of tasks left, and how it decreased.
fn progress(page: &mut Page<'_>, transition: &Transition) {
    let Some(left) = transition.tasks_remaining else {
        return;
    };
    let paint = transition
        .phase
        .map_or(Paint::Plain, |phase| words::phase(phase).1);
    let mut prefix = vec![plain("  ")];
    let count = match transition.tasks_total {
        Some(total) => {
            prefix.extend(bar(page, left, total, paint));
            prefix.push(plain("  "));
            format!("{left} of {} left", words::counted(total, "task"))
        }
        None => format!("{} left", words::counted(left, "task")),
    };
    let mut spans = vec![painted(Paint::Bold, words::no_break(&count))];
    if let Some(trend) = trend(page, &transition.trend) {
        spans.push(plain(format!(" {trend}")));
    }
    page.line(&prefix, &spans);
}

/// The tasks that have switched, filled. It is full only when no task is left.
fn bar(page: &Page<'_>, left: u32, total: u32, paint: Paint) -> Vec<Span> {
    let style = page.style;
    let width = (style.width / 4).clamp(10, 30);
    let switched = u64::from(total.saturating_sub(left));
    let share = u64::try_from(width).unwrap_or(0) * switched / u64::from(total.max(1));
    let filled = usize::try_from(share).unwrap_or(width).min(width);
    let (full, empty) = if style.unicode {
        ("█", "░")
    } else {
        ("#", ".")
    };
    let filled_text = painted(paint, full.repeat(filled));
    let empty_text = painted(Paint::Dim, empty.repeat(width - filled));
    if style.unicode {
        vec![filled_text, empty_text]
    } else {
        vec![plain("["), filled_text, empty_text, plain("]")]
    }
}

/// `(57 → 12 → 1 in 10 s)`: the first number, some between, the last, and the
/// time between the first and the last.
fn trend(page: &Page<'_>, points: &[TrendPoint]) -> Option<String> {
    let mut changes: Vec<&TrendPoint> = points.iter().collect();
    changes.dedup_by_key(|point| point.remaining);
    let (first, last) = (changes.first()?, changes.last()?);
    if changes.len() < 2 {
        return None;
    }
    let took = words::duration(last.seconds - first.seconds)?;
    let shown = changes.len().min(TREND_SHOWN);
    let numbers: Vec<String> = (0..shown)
        .filter_map(|nth| changes.get(nth * (changes.len() - 1) / (shown - 1)))
        .map(|point| point.remaining.to_string())
        .collect();
    let arrow = format!(" {} ", page.style.arrow());
    Some(words::no_break(&format!(
        "({} in {took})",
        numbers.join(&arrow)
    )))
}

/// `It changes do_exit, do_fork, nfs_read (nfs) and 4 more.`
fn functions(page: &Page<'_>, patch: &Patch) -> Option<String> {
    let all: Vec<String> = patch
        .objects
        .iter()
        .flat_map(|object| {
            object
                .functions
                .iter()
                .map(move |function| (object, function))
        })
        .map(|(object, function)| {
            let (function, object) = (
                page.style.text(&function.name),
                page.style.text(&object.name),
            );
            if object == VMLINUX || object == OBJECT_UNKNOWN {
                function
            } else {
                format!("{function} ({object})")
            }
        })
        .collect();
    let shown = all.get(..FUNCTIONS_SHOWN).unwrap_or(&all).join(", ");
    match all.len() {
        0 => None,
        few if few <= FUNCTIONS_SHOWN => Some(format!("It changes {shown}.")),
        many => Some(format!(
            "It changes {shown} and {} more.",
            many - FUNCTIONS_SHOWN
        )),
    }
}

/// The tasks left and what to do.
pub(super) fn left(page: &mut Page<'_>, transition: &Transition) {
    blockers::table(page, transition);
    let next = transition
        .next
        .iter()
        .map(|step| (String::new(), step.as_str()));
    let steps: Vec<(String, &str)> = next.chain(advice(page, transition)).collect();
    if steps.is_empty() {
        return;
    }
    page.blank();
    page.paragraph(2, &[painted(Paint::Bold, "What to do")]);
    for (task, step) in steps {
        let bullet = plain(format!("  {} ", page.style.arrow()));
        page.step_for(&[bullet], &task, step);
    }
}

/// The advice for the tasks left, the worst first, each with the task it is for.
/// A command that `next` contains is not repeated.
fn advice<'a>(page: &Page<'_>, transition: &'a Transition) -> Vec<(String, &'a str)> {
    let mut seen: Vec<&str> = Vec::new();
    let mut steps = Vec::new();
    for blocker in worst_first(&transition.blockers) {
        let Some(text) = blocker.advice.as_deref() else {
            continue;
        };
        let is_next = transition.next.iter().any(|step| {
            let commands = command::split(text).1;
            step == text || (!commands.is_empty() && command::split(step).1 == commands)
        });
        if is_next || seen.contains(&text) {
            continue;
        }
        if seen.len() == ADVICE_SHOWN {
            break;
        }
        seen.push(text);
        let alike = |other: &&Blocker| other.advice.as_deref() == Some(text);
        let others = transition.blockers.iter().filter(alike).count() - 1;
        let (name, ids) = why::who(blocker, page.style);
        let and = match others {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        steps.push((format!("{name} {ids}{and}: "), text));
    }
    steps
}

/// `text` with a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", chars.as_str())
}
