//! The result of the calibration: what the counters did when they were tried.

use crate::model::doctor::{Calibration, CounterOutcome, CounterTrial};
use crate::render::page::{Page, Paint, painted, plain};
use crate::text::NBSP;

pub(super) fn section(page: &mut Page<'_>, calibration: &Calibration) {
    let Calibration {
        function,
        call,
        trials,
        left_behind,
        not_tried,
    } = calibration;
    let style = page.style;
    page.blank();
    let mut title = vec![painted(Paint::Bold, "Calibration")];
    if let Some(function) = function {
        let on = format!(
            " on {}, by calls of {}(2)",
            style.text(function),
            style.text(call)
        );
        title.push(painted(Paint::Dim, on));
    }
    page.paragraph(0, &title);
    if let Some(why) = not_tried {
        let words = format!("Nothing was tried: {}.", style.text(why));
        page.paragraph(2, &[plain(words)]);
        return;
    }
    for trial in trials {
        trial_line(page, trial);
    }
    let (words, paint) = match left_behind {
        Some(0) => ("No program is left in the kernel.".to_owned(), Paint::Plain),
        Some(left) => (format!("Programs left in the kernel: {left}."), Paint::Red),
        None => (
            "Without CAP_SYS_ADMIN it is unknown whether a program is left in the kernel."
                .to_owned(),
            Paint::Plain,
        ),
    };
    page.paragraph(2, &[painted(paint, words)]);
}

fn trial_line(page: &mut Page<'_>, trial: &CounterTrial) {
    let CounterTrial {
        kind,
        outcome,
        calls,
        counted,
        why,
        ..
    } = trial;
    let counted = counted.unwrap_or_default();
    let why = why.as_deref().unwrap_or("the reason is unknown");
    let (words, paint) = match outcome {
        CounterOutcome::Exactly => (
            format!("counts exactly: {counted} of {calls} calls"),
            Paint::Green,
        ),
        CounterOutcome::WithOthers => (
            format!(
                "counts every call: {counted} for {calls}, {} of them by other processes",
                counted.saturating_sub(*calls)
            ),
            Paint::Green,
        ),
        CounterOutcome::TooFew => (
            format!("MISSES CALLS: {counted} of {calls}; do not trust its numbers"),
            Paint::Alarm,
        ),
        CounterOutcome::Failed => (
            format!("does not work: {}", page.style.text(why)),
            Paint::Red,
        ),
        CounterOutcome::NotTried => (page.style.text(why), Paint::Dim),
    };
    let prefix = [plain(format!("  {:<8}", kind.name()))];
    let mut spans = vec![painted(paint, words)];
    spans.extend(cost(trial).map(plain));
    page.line(&prefix, &spans);
}

/// `; a call takes 1.4 times as long (310 ns for 220)`
fn cost(trial: &CounterTrial) -> Option<String> {
    let (plain, counted) = (trial.plain_ns?, trial.counted_ns?);
    if plain <= 0.0 || trial.outcome == CounterOutcome::TooFew {
        return None;
    }
    let ratio = counted / plain;
    Some(format!(
        "; a call takes {ratio:.1}{NBSP}times as long ({counted:.0}{NBSP}ns instead of {plain:.0})"
    ))
}
