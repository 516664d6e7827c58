//! What the numbers of one function say: in a sentence, with the evidence.

use std::time::Duration;

use super::{
    compare::{Change, compare},
    figures::{Finding, FindingKind, Severity},
    record::Record,
    series::{Stretches, per_second},
};
use crate::model::Direction;

/// A function not called for this long since it was patched is worth a word.
const QUIET_FOR: Duration = Duration::from_mins(1);

/// Calls that were to be expected before silence is a surprise: by chance it
/// happens once in twenty thousand times (e to the minus 10th).
const EXPECTED: f64 = 10.0;

/// Calls of tasks that have not switched before it is said that no others call.
const UNSWITCHED_CALLS: u64 = 10;

/// What is known of a function of a patch.
pub(super) struct Evidence<'a> {
    pub name: &'a str,
    pub patch: &'a str,
    pub record: &'a Record,
    /// How it is called since, if the patch is applied and at rest.
    pub rates: Option<&'a Stretches>,
    /// Which way the patch's own transition goes, if one is under way.
    pub transition: Option<Direction>,
    /// Likely causes for new code that does not run.
    pub suspects: &'a [String],
    pub ftrace_off: bool,
}

/// All that is to be said, the worst first.
pub(super) fn of(evidence: &Evidence<'_>) -> Vec<Finding> {
    let found = [
        evidence.ftrace_off.then(|| ftrace_off(evidence.name)),
        no_effect(evidence),
        never_called(evidence),
        only_unswitched(evidence),
        rate_changed(evidence),
    ];
    let mut found: Vec<Finding> = found.into_iter().flatten().collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// What is to be said of a function that no patch changes.
pub(super) fn unpatched(name: &str, is_ftrace_off: bool) -> Vec<Finding> {
    is_ftrace_off
        .then(|| ftrace_off(name))
        .into_iter()
        .collect()
}

fn ftrace_off(name: &str) -> Finding {
    Finding {
        kind: FindingKind::FtraceDisabled,
        severity: Severity::Danger,
        text: format!(
            "ftrace is switched off (kernel.ftrace_enabled=0): calls of {name} are neither \
             redirected nor counted, and no live patch can be loaded."
        ),
        advice: vec!["sysctl kernel.ftrace_enabled=1".to_owned()],
    }
}

/// New code that should have been entered and was not.
fn no_effect(evidence: &Evidence<'_>) -> Option<Finding> {
    let Evidence {
        name,
        patch,
        record,
        suspects,
        ..
    } = evidence;
    let effect = record.effect.as_ref()?;
    if effect.missing == 0 {
        return None;
    }
    let missing = effect.missing;
    let entered = effect.entered();
    let is_over = effect.effective == Some(true);
    let (kind, severity, text) = if is_over {
        let text = format!(
            "{missing} calls of {name} did not reach the new code {} of {patch}; it runs now.",
            entered.function
        );
        (FindingKind::OldCodeCalled, Severity::Warning, text)
    } else if entered.entries == 0 {
        let text = format!(
            "Patched but not effective: {name} was called {} times since {patch} should have its \
             way, and its new code {} was never entered.",
            entered.expected, entered.function
        );
        (FindingKind::NotEffective, Severity::Danger, text)
    } else {
        let text = format!(
            "{missing} calls of {name} did not reach the new code {} of {patch} ({} of {} did): \
             old code is still called.",
            entered.function, entered.entries, entered.expected
        );
        let kind = if effect.effective == Some(false) {
            FindingKind::NotEffective
        } else {
            FindingKind::OldCodeCalled
        };
        (kind, Severity::Danger, text)
    };
    Some(Finding {
        kind,
        severity,
        text,
        advice: causes(suspects),
    })
}

fn causes(suspects: &[String]) -> Vec<String> {
    if !suspects.is_empty() {
        return suspects.to_vec();
    }
    vec![
        "Something stands before the patch at the function's entry: list what does with \
         `cat /sys/kernel/debug/kprobes/list /sys/kernel/tracing/enabled_functions`."
            .to_owned(),
        "Treat the host as not patched until that is gone.".to_owned(),
    ]
}

fn never_called(evidence: &Evidence<'_>) -> Option<Finding> {
    let Evidence { name, record, .. } = evidence;
    evidence.rates?;
    let after = record.after().filter(|after| after.time >= QUIET_FOR)?;
    if after.calls.all() > 0 || record.above > 0 {
        return None;
    }
    let time = shown(after.time);
    let before = record.before.and_then(|before| {
        let rate = per_second(before.calls.all(), before.time)?;
        let expected = rate * after.time.as_secs_f64();
        (expected >= EXPECTED).then_some(rate)
    });
    let (severity, text) = match before {
        Some(rate) => (
            Severity::Warning,
            format!(
                "{name} was not called once in the {time} since it was patched, and {rate:.1} \
                 times a second before."
            ),
        ),
        None => (
            Severity::Note,
            format!("{name} was not called once in the {time} since it was patched."),
        ),
    };
    let advice = match before {
        Some(_) => {
            "Check that what calls it still runs: silence does not show that the patch works."
        }
        None => "Whether the new code works has not been tried on this host.",
    };
    Some(Finding {
        kind: FindingKind::NeverCalled,
        severity,
        text,
        advice: vec![advice.to_owned()],
    })
}

fn only_unswitched(evidence: &Evidence<'_>) -> Option<Finding> {
    let Evidence { name, record, .. } = evidence;
    let calls = record.this_transition;
    let (unswitched, switched) = match evidence.transition? {
        Direction::Patching => (calls.old, calls.new),
        Direction::Unpatching => (calls.new, calls.old),
    };
    (switched == 0 && unswitched >= UNSWITCHED_CALLS).then(|| Finding {
        kind: FindingKind::OnlyUnswitchedCall,
        severity: Severity::Note,
        text: format!(
            "Only tasks that have not switched call {name} ({unswitched} calls in this transition)."
        ),
        advice: vec!["They are the ones to look at: lpwatch tasks".to_owned()],
    })
}

fn rate_changed(evidence: &Evidence<'_>) -> Option<Finding> {
    let Evidence { name, record, .. } = evidence;
    let now = evidence.rates?;
    let Change {
        before,
        after,
        factor,
        probability,
    } = compare(&record.before_rates.rates, &now.rates)?;
    Some(Finding {
        kind: FindingKind::RateChanged,
        severity: Severity::Note,
        text: format!(
            "{name} is called {after:.1} times a second, {before:.1} times before it was patched \
             ({factor}; medians over 5 s; Mann-Whitney U test, p = {probability:.1e})."
        ),
        advice: vec!["The patch, or the load: compare with hosts that are not patched.".to_owned()],
    })
}

fn shown(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
