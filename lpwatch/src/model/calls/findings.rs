//! Findings from the call numbers of one function, with their evidence.

use std::time::Duration;

use super::{
    compare::{Change, compare},
    figures::{Finding, FindingKind, Severity},
    record::CallRecord,
    series::{Stretches, per_second},
};
use crate::model::Direction;

/// A function that was not called for this long since it was patched is reported.
const QUIET_FOR: Duration = Duration::from_mins(1);

/// The expected number of calls above which no call at all is a warning. By chance
/// this happens once in twenty thousand times (e to the minus 10th).
const EXPECTED: f64 = 10.0;

/// The least number of calls by unswitched tasks for the finding that only they
/// call the function.
const UNSWITCHED_CALLS: u64 = 10;

/// The evidence about one function of a patch.
pub(super) struct FunctionEvidence<'a> {
    pub name: &'a str,
    pub patch: &'a str,
    pub record: &'a CallRecord,
    /// Its call rates since then, if the patch is enabled and not in transition.
    pub rates: Option<&'a Stretches>,
    /// The direction of the patch's own transition, if it is in one.
    pub transition: Option<Direction>,
    /// Likely reasons why the new code does not run.
    pub suspects: &'a [String],
    pub ftrace_off: bool,
}

/// All findings, the worst first.
pub(super) fn of(evidence: &FunctionEvidence<'_>) -> Vec<Finding> {
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

/// The findings about a function that no patch changes.
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

/// New code that should run and does not.
fn no_effect(evidence: &FunctionEvidence<'_>) -> Option<Finding> {
    let FunctionEvidence {
        name,
        patch,
        record,
        suspects,
        ..
    } = evidence;
    let effect = record.effect.as_ref()?;
    let missing = effect.missing();
    if missing == 0 {
        return None;
    }
    let entered = effect.entered();
    let is_over = effect.effective == Some(true);
    let (kind, severity, text) = if is_over {
        let text = format!(
            "{missing} calls of {name} did not reach the new code {} of {patch}. The new code runs now.",
            entered.function
        );
        (FindingKind::OldCodeCalled, Severity::Warning, text)
    } else if entered.entries == 0 {
        let text = format!(
            "Patched but not effective: {name} was called {} times since {patch} should be in effect, \
             but its new code {} was never entered.",
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
        "Another hook at the function's entry may prevent the redirection. To list the hooks: \
         cat /sys/kernel/debug/kprobes/list /sys/kernel/tracing/enabled_functions"
            .to_owned(),
        "Treat the host as not patched until that hook is removed.".to_owned(),
    ]
}

fn never_called(evidence: &FunctionEvidence<'_>) -> Option<Finding> {
    let FunctionEvidence { name, record, .. } = evidence;
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
                "{name} was not called once in the {time} since it was patched; before, it was called \
                 {rate:.1} times a second."
            ),
        ),
        None => (
            Severity::Note,
            format!("{name} was not called once in the {time} since it was patched."),
        ),
    };
    let advice = match before {
        Some(_) => "Check that its callers still run. No calls do not prove that the patch works.",
        None => "The new code has not run on this host, so it is unknown whether it works.",
    };
    Some(Finding {
        kind: FindingKind::NeverCalled,
        severity,
        text,
        advice: vec![advice.to_owned()],
    })
}

fn only_unswitched(evidence: &FunctionEvidence<'_>) -> Option<Finding> {
    let FunctionEvidence { name, record, .. } = evidence;
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
        advice: vec!["To see these tasks: lpwatch tasks".to_owned()],
    })
}

fn rate_changed(evidence: &FunctionEvidence<'_>) -> Option<Finding> {
    let FunctionEvidence { name, record, .. } = evidence;
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
            "{name} is called {after:.1} times a second; it was {before:.1} before it was patched \
             ({factor}; medians over 5 s; Mann-Whitney U test, p = {probability:.1e})."
        ),
        advice: vec![
            "The patch or the load changed this. Compare with hosts that are not patched."
                .to_owned(),
        ],
    })
}

fn shown(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
