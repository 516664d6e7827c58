//! The explanation of one task, kept up to date, and kept when the task has gone.

use jiff::Timestamp;

use crate::model::snapshot::Snapshot;
use crate::model::task_report::TaskReport;
use crate::render::{explain, style::Style, waits, words};

/// The explanation of one row.
#[derive(Debug)]
pub(super) struct Explained {
    patch: String,
    /// The task; `None` for what the transition waits for if it is no task.
    tid: Option<u32>,
    /// What was last known of it.
    report: Option<TaskReport>,
    /// When it was first missing.
    gone_at: Option<Timestamp>,
}

impl Explained {
    pub fn new(snapshot: &Snapshot, patch: &str, tid: Option<u32>, style: &Style) -> Self {
        let mut explained = Self {
            patch: patch.to_owned(),
            tid,
            report: None,
            gone_at: None,
        };
        explained.take(snapshot, style);
        explained
    }

    /// Takes the next state.
    pub fn take(&mut self, snapshot: &Snapshot, style: &Style) {
        let report = TaskReport::of(snapshot, Some(&self.patch));
        match report.filter(|report| self.explain(report, style).is_some()) {
            Some(report) => {
                self.report = Some(report);
                self.gone_at = None;
            }
            None => {
                self.gone_at.get_or_insert(snapshot.head.taken_at);
            }
        }
    }

    fn explain(&self, report: &TaskReport, style: &Style) -> Option<String> {
        match self.tid {
            Some(tid) => report
                .task(tid)
                .map(|task| explain::explain(task, report, style)),
            None => report
                .waits_for
                .as_ref()
                .map(|wait| waits::explain(wait, report, style)),
        }
    }

    pub fn text(&self, style: &Style) -> String {
        let last = self
            .report
            .as_ref()
            .and_then(|report| self.explain(report, style))
            .unwrap_or_default();
        match self.gone_at {
            None => last,
            Some(at) => {
                let what = match self.tid {
                    Some(_) => "This task is no longer among the tasks left",
                    None => "The transition no longer waits for this",
                };
                let at = words::clock(at, at).replace(crate::text::NBSP, " ");
                format!("{what} ({at} UTC).\nBefore:\n\n{last}")
            }
        }
    }
}
