//! The sentences of the journal.

use std::time::Duration;

use crate::model::{Direction, Outcome, Refusal, snapshot::PastTransition};

/// `enabling lp_fix`, `disabling lp_fix`.
pub(super) fn doing(direction: Direction, patch: &str) -> String {
    match direction {
        Direction::Patching => format!("enabling {patch}"),
        Direction::Unpatching => format!("disabling {patch}"),
    }
}

/// `1 task`, `98 tasks`.
pub(super) fn tasks(number: u32) -> String {
    counted(u64::from(number), "task")
}

/// A number and its noun.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A duration for people, e.g. `1.2 s`, `2 min 10 s`.
pub(super) fn time(seconds: f64) -> String {
    let Ok(time) = Duration::try_from_secs_f64(seconds) else {
        return format!("{seconds} s");
    };
    let whole = time.as_secs();
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// ` after 1.2 s`, or nothing.
pub(super) fn after(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!(" after {}", time(seconds)))
}

/// `: error 22: symbol 'f' not found`, or nothing.
pub(super) fn why(refusal: Option<&Refusal>) -> String {
    let Some(refusal) = refusal else {
        return String::new();
    };
    let errno = refusal.errno.map(|errno| format!(": error {errno}"));
    let text = refusal.text().map(|text| format!(": {text}"));
    format!("{}{}", errno.unwrap_or_default(), text.unwrap_or_default())
}

/// How a transition ended, in one sentence.
pub(super) fn end(past: &PastTransition) -> String {
    let patch = past.patch.as_deref().unwrap_or("a patch");
    let after = after(past.duration_seconds);
    let total = past.tasks_total.map(tasks);
    let all = total.map_or_else(String::new, |total| format!(" ({total})"));
    let what = past.direction.map_or_else(
        || format!("The transition of {patch}"),
        |direction| capital(&doing(direction, patch)),
    );
    match past.outcome {
        Outcome::Completed => format!("{what} completed{after}{all}."),
        Outcome::Reversed => format!("{what} was reversed, and that completed{after}{all}."),
        Outcome::Forced => {
            format!("{what} was forced, and ended{after}: the tasks left switched without a check.")
        }
        Outcome::Cancelled => format!(
            "The kernel gave up {}{after}{}.",
            doing(Direction::Patching, patch),
            why(past.refusal.as_ref())
        ),
        Outcome::Refused => format!("{patch} was refused{}.", why(past.refusal.as_ref())),
        Outcome::Unknown => format!("{what} ended{after}; lpwatch did not see how."),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The first of these names, with the number of the others.
pub(super) fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
