//! Whether calls enter the new code, after the transition has completed.

use std::time::Duration;

use tokio::time::Instant;

use super::{Completed, TransitionWait, WaitReport, report};
use crate::{
    exit::Exit,
    model::{
        Snapshot,
        calls::{
            proof::{Proof, ProofVerdict, is_final},
            report::CallsReport,
        },
    },
    text::{printable, quoted},
};

/// How long the hooks may take to count a patch that was enabled just now.
const SETTLED: Duration = Duration::from_secs(3);

impl TransitionWait<'_> {
    /// The report, once it is known whether the new code runs.
    pub(super) fn judge_effect(
        &mut self,
        snapshot: &Snapshot,
        completed: Completed,
    ) -> Option<WaitReport> {
        let name = completed.report.patch.clone();
        let calls = calls(snapshot, name.as_deref());
        let proof = Proof::of(&calls, None);
        let has_settled = Instant::now().saturating_duration_since(completed.seen_at) >= SETTLED;
        if let Some(words) = name
            .as_deref()
            .and_then(|name| gone(snapshot, name, has_settled))
        {
            let (exit, result) = (Exit::NotProved, "not_proved");
            return Some(told(completed.report, exit, result, &words, false));
        }
        let (result, exit, words) = match proof.verdict {
            ProofVerdict::Proved => ("effective", Exit::Success, "its new code runs"),
            ProofVerdict::Disproved => ("not_effective", Exit::Danger, "new code does not run"),
            ProofVerdict::NotProved if name.is_none() => {
                let report = completed.report;
                return Some(WaitReport {
                    exit: Exit::NotProved,
                    ..report
                });
            }
            ProofVerdict::NotProved if has_settled && is_final(&calls, &proof) => (
                "not_proved",
                Exit::NotProved,
                "whether its new code runs cannot be known",
            ),
            ProofVerdict::NotProved => {
                self.completed = Some(completed);
                return None;
            }
        };
        Some(told(completed.report, exit, result, words, true))
    }

    /// No call was seen until the time had passed.
    pub(super) fn not_called(&self, completed: &Completed, timeout: Duration) -> WaitReport {
        let words = format!("no call of its new code was seen in {timeout:?}");
        let Completed { report: known, .. } = completed;
        let report = report(
            known.patch.clone(),
            known.exit,
            known.result,
            known.ended.clone(),
            || known.line.clone(),
        );
        let latest = self.latest.as_deref().zip(known.patch.as_deref());
        let is_loaded = latest.is_some_and(|(latest, name)| latest.patch(name).is_some());
        told(report, Exit::TimedOut, "timed_out", &words, is_loaded)
    }
}

/// Why no call can enter the code of a patch that is not loaded any more. Right after its
/// transition, sysfs may not have been read again.
fn gone(snapshot: &Snapshot, name: &str, has_settled: bool) -> Option<String> {
    if snapshot.patch(name).is_some() {
        return None;
    }
    let cause = match snapshot.replaced_by(name) {
        Some(other) => format!("{} has replaced it", printable(other)),
        None if has_settled => "it is no longer loaded".to_owned(),
        None => return None,
    };
    Some(format!(
        "{cause}, so whether its new code runs cannot be known"
    ))
}

fn calls(snapshot: &Snapshot, name: Option<&str>) -> CallsReport {
    let mut calls = CallsReport::of(snapshot, name);
    calls.functions.retain(|function| function.patch.is_some());
    calls
}

/// Adds to the line of the transition what is known of its effect.
fn told(
    report: WaitReport,
    exit: Exit,
    result: &'static str,
    words: &str,
    is_loaded: bool,
) -> WaitReport {
    let line = report.line.trim_end_matches('.');
    let why = match (exit, &report.patch) {
        (Exit::Success, _) | (_, None) => String::new(),
        _ if !is_loaded => String::new(),
        (_, Some(patch)) => format!(" To see why:\n    lpwatch verify {}", quoted(patch)),
    };
    WaitReport {
        line: format!("{line}; {words}.{why}"),
        exit,
        result,
        ..report
    }
}
