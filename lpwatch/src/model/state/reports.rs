//! Which begins and ends of transitions were reported, and by whom: a hook, the log
//! and a reading of sysfs can report the same one, in any order, while a daemon
//! attaches its hooks.

use std::{collections::VecDeque, time::Duration};

use crate::model::{Direction, EventKind, EventSource};

/// How many reports are kept.
const KEPT: usize = 32;

/// A hook and the log report a begin within this time. Between the two the kernel
/// writes a line to its console, which may be slow.
const BEGIN: Duration = Duration::from_secs(1);

/// The same for an end: in between the kernel waits for all CPUs.
const END: Duration = Duration::from_secs(10);

/// A reported begin or end.
#[derive(Clone, Debug)]
struct Report {
    patch: String,
    direction: Direction,
    at: Duration,
    /// `None` for a reading.
    source: Option<EventSource>,
}

impl Report {
    fn is_of(&self, patch: &str, direction: Direction) -> bool {
        self.patch == patch && self.direction == direction
    }
}

/// The last reports.
#[derive(Clone, Debug, Default)]
pub(super) struct EventReports {
    begun: VecDeque<Report>,
    ended: VecDeque<Report>,
}

impl EventReports {
    /// Whether another source has reported this already, which is kept if not.
    pub fn repeats(&mut self, source: EventSource, at: Duration, kind: &EventKind) -> bool {
        let report = |patch: &str, direction| Report {
            patch: patch.to_owned(),
            direction,
            at,
            source: Some(source),
        };
        match kind {
            EventKind::Begun {
                patch, direction, ..
            } => {
                let report = report(patch, *direction);
                let repeats = self.has_begun(&report);
                keep(&mut self.begun, report, repeats)
            }
            EventKind::Complete {
                patch: Some(patch),
                direction: Some(direction),
                ..
            } => {
                let report = report(patch, *direction);
                let repeats = self.has_ended(&report);
                keep(&mut self.ended, report, repeats)
            }
            EventKind::Try { patch, .. }
            | EventKind::Reversed { patch, .. }
            | EventKind::Forced { patch, .. }
            | EventKind::Cancelled { patch } => {
                let mut ended = self.ended.iter();
                ended.any(|ended| {
                    ended.source != Some(source)
                        && patch.as_ref().is_none_or(|patch| *patch == ended.patch)
                        && at <= ended.at
                })
            }
            _ => false,
        }
    }

    /// A reading has shown the end of a transition.
    pub fn read_end(&mut self, patch: &str, direction: Direction, at: Duration) {
        let report = Report {
            patch: patch.to_owned(),
            direction,
            at,
            source: None,
        };
        keep(&mut self.ended, report, false);
    }

    fn has_begun(&self, report: &Report) -> bool {
        self.begun.iter().any(|begun| {
            begun.is_of(&report.patch, report.direction)
                && begun.source != report.source
                && begun.at.abs_diff(report.at) < BEGIN
        })
    }

    fn has_ended(&self, report: &Report) -> bool {
        let of_it = |other: &&Report| other.is_of(&report.patch, report.direction);
        let mut ended = self.ended.iter().filter(of_it);
        ended.any(|ended| {
            // It began anew in between: this is another end.
            let begun_anew = |begun: &Report| begun.at > ended.at && begun.at < report.at;
            let is_near = match ended.source {
                Some(_) => ended.at.abs_diff(report.at) < END,
                // A reading comes after what it shows.
                None => report.at <= ended.at && ended.at.abs_diff(report.at) < END,
            };
            ended.source != report.source
                && is_near
                && !self.begun.iter().filter(of_it).any(begun_anew)
        })
    }
}

/// Keeps a report that repeats none; returns whether it does.
fn keep(reports: &mut VecDeque<Report>, report: Report, repeats: bool) -> bool {
    if !repeats {
        reports.truncate(KEPT - 1);
        reports.push_front(report);
    }
    repeats
}
