//! The tasks left in the chosen order, without those that the filter leaves out.

use std::cmp::Ordering;

use crate::model::snapshot::Transition;
use crate::model::task_report::worst_first;
use crate::model::{Blocker, TransitionHold};
use crate::render::{style::Style, waits, why};

/// What a transition waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    /// A callback, a CPU, or the kernel's own work.
    Hold(&'a TransitionHold),
    Task(&'a Blocker),
}

impl Row<'_> {
    /// The task; `None` for what is no task.
    pub fn tid(&self) -> Option<u32> {
        match self {
            Self::Hold(_) => None,
            Self::Task(blocker) => Some(blocker.tid),
        }
    }
}

/// By what the tasks are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum By {
    /// What will not free itself comes first.
    #[default]
    Worst,
    Longest,
    Name,
    Tid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub by: By,
    pub is_reversed: bool,
}

impl Order {
    pub fn next(&mut self) {
        self.by = match self.by {
            By::Worst => By::Longest,
            By::Longest => By::Name,
            By::Name => By::Tid,
            By::Tid => By::Worst,
        };
        self.is_reversed = false;
    }

    pub fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
    }

    /// `worst first`, `by name, reversed`
    pub fn words(self) -> String {
        let by = match self.by {
            By::Worst => "worst first",
            By::Longest => "longest first",
            By::Name => "by name",
            By::Tid => "by tid",
        };
        let reversed = if self.is_reversed { ", reversed" } else { "" };
        format!("{by}{reversed}")
    }
}

/// The rows of this transition.
pub(super) fn rows<'a>(
    transition: &'a Transition,
    order: Order,
    filter: &str,
    style: &Style,
) -> Vec<Row<'a>> {
    let filter = filter.to_lowercase();
    let mut blockers = worst_first(&transition.blockers);
    match order.by {
        By::Worst => {}
        By::Longest => blockers.sort_by(|one, other| longer(one, other)),
        By::Name => blockers.sort_by(|one, other| one.comm.cmp(&other.comm)),
        By::Tid => blockers.sort_by_key(|blocker| blocker.tid),
    }
    if order.is_reversed {
        blockers.reverse();
    }
    let hold = transition.waits_for.as_ref().map(Row::Hold);
    let rows = hold.into_iter().chain(blockers.into_iter().map(Row::Task));
    rows.filter(|row| filter.is_empty() || searched(row, style).contains(&filter))
        .collect()
}

/// One whose time is unknown comes last.
fn longer(one: &Blocker, other: &Blocker) -> Ordering {
    let of = |blocker: &Blocker| blocker.since_seconds.unwrap_or(-1.0);
    of(other).total_cmp(&of(one))
}

/// The text in which the filter is searched.
fn searched(row: &Row<'_>, style: &Style) -> String {
    let text = match row {
        Row::Hold(wait) => waits::sentence(wait, style),
        Row::Task(blocker) => {
            let (name, ids) = why::who(blocker, style);
            let why = why::why(blocker, style).unwrap_or_default();
            format!("{name} {ids} {why}")
        }
    };
    text.replace(crate::text::NBSP, " ").to_lowercase()
}

/// The chosen row: it stays with its task when the rows are ordered anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The task; `None` for what is no task.
    tid: Option<u32>,
    /// Its place when it was last seen.
    at: usize,
}

impl Choice {
    pub fn place(&self, rows: &[Row<'_>]) -> usize {
        let found = match self.tid {
            None => None,
            tid => rows.iter().position(|row| row.tid() == tid),
        };
        found.unwrap_or(self.at).min(rows.len().saturating_sub(1))
    }

    /// The row at this place.
    pub fn of(rows: &[Row<'_>], at: usize) -> Self {
        Self {
            tid: rows.get(at).and_then(Row::tid),
            at,
        }
    }
}
