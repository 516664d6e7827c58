//! The end of a transition on one line: the last line of `lpwatch wait`, and the rows
//! of the last transitions in the table.

use super::page::{Paint, Span, painted, plain};
use super::style::Style;
use super::words;
use crate::model::snapshot::PastTransition;
use crate::model::{Direction, Outcome};

/// How a transition ended, on one line without its newline; what is unknown is left
/// out: `lp_stall: patching reversed after 41 s (98 tasks)`.
#[must_use]
pub fn past(past: &PastTransition, style: &Style) -> String {
    let mut spans = vec![painted(Paint::Bold, name(past, style)), plain(": ")];
    spans.extend(story(past, style));
    style.line(&spans)
}

/// A sentence without its full stop: `Its last transition ended at 2026-11-30
/// 04:05:06 UTC: patching reversed after 41 s (98 tasks)`. It is plain text.
#[must_use]
pub fn last(past: &PastTransition) -> String {
    let style = Style::default();
    let ended = past.ended_at.strftime("%F %H:%M:%S");
    let story = style.line(&story(past, &style));
    format!(
        "Its last transition ended at {ended} UTC: {}",
        story.trim_end_matches('.')
    )
}

/// The name of the patch. The kernel log does not always contain it.
pub(super) fn name(past: &PastTransition, style: &Style) -> String {
    past.patch
        .as_deref()
        .map_or_else(|| "a patch".to_owned(), |name| style.text(name))
}

/// What happened, without the name of the patch.
pub(super) fn story(past: &PastTransition, style: &Style) -> Vec<Span> {
    let (outcome, paint) = match (past.outcome, past.direction) {
        (Outcome::Unknown, Some(Direction::Unpatching)) => (
            "ended; whether the patch was disabled or its patching reversed is unknown",
            Paint::Yellow,
        ),
        (outcome, _) => words::outcome(outcome),
    };
    let mut spans = Vec::new();
    if let Some(direction) = past.direction {
        spans.push(plain(format!("{} ", direction.name())));
    }
    spans.push(painted(paint, outcome));
    if let Some(duration) = past.duration_seconds.and_then(words::duration) {
        spans.push(plain(format!(" after {duration}")));
    }
    if past.outcome == Outcome::Forced {
        spans.push(plain("; the tasks left were switched without a check"));
    }
    let counts: Vec<String> = [
        past.tasks_total.map(|tasks| words::counted(tasks, "task")),
        effort(past, past.tries, past.tries_in_all, tries),
        effort(past, past.signals, past.signals_in_all, |signals| {
            words::counted(signals, "signal")
        })
        .filter(|_| past.signals_in_all.or(past.signals) > Some(0)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !counts.is_empty() {
        spans.push(painted(Paint::Dim, format!(" ({})", counts.join(", "))));
    }
    if let Some(stopped) = past.stopped.as_ref().filter(|stopped| stopped.times > 0) {
        let longest = stopped.longest_ms;
        spans.push(plain(match stopped.times {
            1 => format!("; the machine was stopped for {longest:.1} ms"),
            times => {
                format!("; the machine was stopped {times} times, at most for {longest:.1} ms")
            }
        }));
    }
    if let Some(refusal) = &past.refusal {
        if let Some(errno) = refusal.errno {
            spans.push(plain(format!(": {}", words::errno(errno))));
        }
        if let Some(text) = refusal.text().filter(|text| !text.is_empty()) {
            spans.push(plain(format!(": {}", style.text(&text))));
        }
    }
    if let Some(check) = &past.check {
        let was_refused = matches!(past.outcome, Outcome::Refused | Outcome::Cancelled);
        let expected = words::expected(check, was_refused, past.ended_at);
        spans.push(painted(Paint::Dim, format!("; {expected}")));
    }
    spans
}

/// `67 tries`; of a reversed transition `67 tries before the reversal and 1 after`.
/// Without the number before it, `1 try since the reversal`.
fn effort(
    past: &PastTransition,
    last: Option<u32>,
    in_all: Option<u32>,
    counted: fn(u32) -> String,
) -> Option<String> {
    let last = last?;
    if past.outcome != Outcome::Reversed && in_all.is_none_or(|in_all| in_all == last) {
        return Some(counted(last));
    }
    Some(match in_all.and_then(|in_all| in_all.checked_sub(last)) {
        Some(before) => format!("{} before the reversal and {last} after", counted(before)),
        None => format!("{} since the reversal", counted(last)),
    })
}

/// `1 try`, `130 tries`
pub(super) fn tries(number: u32) -> String {
    words::no_break(&format!(
        "{number} {}",
        if number == 1 { "try" } else { "tries" }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;
    use crate::model::{Direction, EngineKind, stops::Stopped};

    fn line(transition: &PastTransition) -> String {
        past(transition, &Style::default())
    }

    #[test]
    fn an_end_contains_what_is_known() {
        let mut past = samples::past("lp_easy", Outcome::Completed);
        assert_eq!(
            line(&past),
            "lp_easy: patching completed after 1.2 s (98 tasks, 2 tries)"
        );
        past.direction = Some(Direction::Unpatching);
        past.outcome = Outcome::Reversed;
        past.duration_seconds = Some(41.0);
        past.tries = Some(1);
        past.tries_in_all = Some(68);
        past.signals_in_all = Some(4);
        assert_eq!(
            line(&past),
            "lp_easy: unpatching reversed after 41 s (98 tasks, 67 tries before the reversal and \
             1 after, 4 signals before the reversal and 0 after)"
        );
        past.tries_in_all = None;
        past.signals_in_all = None;
        assert_eq!(
            line(&past),
            "lp_easy: unpatching reversed after 41 s (98 tasks, 1 try since the reversal)"
        );
    }

    #[test]
    fn the_time_the_machine_was_stopped_is_shown() {
        let mut past = samples::past("fix", Outcome::Completed);
        past.stopped = Some(Stopped {
            times: 1,
            total_ms: 30.733,
            longest_ms: 30.733,
            functions: vec!["kpatch_apply_patch".to_owned()],
        });
        let text = line(&past);
        assert!(
            text.ends_with("2 tries); the machine was stopped for 30.7 ms"),
            "{text}"
        );
        past.stopped = Some(Stopped::default());
        assert!(!line(&past).contains("machine"));
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let past = PastTransition {
            patch: None,
            engine: Some(EngineKind::Livepatch),
            direction: None,
            started_at: None,
            duration_seconds: None,
            tries: None,
            signals: None,
            tries_in_all: None,
            signals_in_all: None,
            tasks_total: None,
            ..samples::past("", Outcome::Unknown)
        };
        assert_eq!(line(&past), "a patch: ended with an unknown outcome");
    }

    #[test]
    fn a_refusal_gives_the_kernels_reason() {
        assert_eq!(
            line(&samples::refused()),
            "lp_refused: refused by the kernel: EINVAL (22): symbol 'nope' not found in symbol table"
        );
    }
}
