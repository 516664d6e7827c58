//! The JSON document of `lpwatch wait`.

use serde::Serialize;

use crate::model::{
    Blocker, Snapshot, TransitionHold, TransitionSummary, document::DocumentHead,
    snapshot::PastTransition, task_report::ReasonCount,
};

use super::report::WaitReport;

/// How a wait for a transition ended.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WaitDocument<'a> {
    #[serde(flatten)]
    head: DocumentHead,
    /// Whether it comes from a daemon, which also knows earlier events.
    daemon: bool,
    /// The patch waited for; `null` if nothing was in transition.
    patch: Option<&'a str>,
    /// The [outcome](#outcome) of the transition, `stalled`, `timed_out`, or `nothing`
    /// if the patch is not in transition. With `--for progress` also `progress`:
    /// fewer tasks are left. With `--for effective`, once the transition has completed:
    /// `effective`, `not_effective`, or `not_proved` if that cannot be known.
    result: &'static str,
    /// The [exit code](status.md#exit-codes) of the command.
    exit_code: u8,
    /// Whether the patch is enabled, if it was not in transition; `null` if it was, or
    /// if that is unknown.
    enabled: Option<bool>,
    /// The patches that are in transition instead of the one asked for.
    also_in_transition: &'a [String],
    /// The transition that has ended; `null` if none has.
    last_transition: Option<&'a PastTransition>,
    /// With `stalled`, `progress` and `timed_out`: the transition that goes on; otherwise
    /// `null`.
    transition: Option<&'a TransitionSummary>,
    /// How many tasks are left for each reason, worst first.
    by_reason: &'a [ReasonCount],
    /// The tasks left, worst first.
    blockers: &'a [Blocker],
    /// What the transition waits for if it is no task; `null` if nothing of that was
    /// found.
    waits_for: Option<&'a TransitionHold>,
    /// What to do about the transition that goes on. A command follows its sentence
    /// after a newline.
    next: &'a [String],
    /// What is missing on this host, one note each.
    notes: &'a [String],
}

impl<'a> WaitDocument<'a> {
    /// `before` names the host if the wait ended before its state was read.
    pub(super) fn of(
        snapshot: Option<&'a Snapshot>,
        before: impl FnOnce() -> DocumentHead,
        report: &'a WaitReport,
    ) -> Self {
        let unfinished = report.unfinished.as_ref();
        Self {
            head: snapshot.map_or_else(before, |snapshot| snapshot.head.clone()),
            daemon: snapshot.is_some_and(|snapshot| snapshot.daemon),
            patch: report.patch.as_deref(),
            result: report.result,
            exit_code: report.exit as u8,
            enabled: report.enabled,
            also_in_transition: &report.also_in_transition,
            last_transition: report.ended.as_ref(),
            transition: unfinished.map(|tasks| &tasks.transition),
            by_reason: unfinished.map_or(&[], |tasks| &tasks.by_reason),
            blockers: unfinished.map_or(&[], |tasks| &tasks.blockers),
            waits_for: unfinished.and_then(|tasks| tasks.waits_for.as_ref()),
            next: unfinished.map_or(&[], |tasks| &tasks.next),
            notes: snapshot.map_or(&[], |snapshot| &snapshot.notes),
        }
    }
}
