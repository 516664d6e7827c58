//! A time in which lpwatch did not run: it was stopped, or the host was.

use std::time::Duration;

use crate::model::{
    Moment, Snapshot,
    time::{seconds, three_digits},
};

use super::{Details, EntryKind, News, Record, news::Draft, words::time};

/// The shortest such time, in seconds: in a transition lpwatch looks once a second.
const SHORTEST: f64 = 10.0;

/// The time in which lpwatch did not run, in seconds since boot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WatchGap {
    start: f64,
    end: f64,
    /// Whether it is known when it began. Otherwise it began at the latest at `start`.
    is_start_known: bool,
}

impl WatchGap {
    /// What `news` and the last look show. Without a transition lpwatch sleeps until
    /// something happens; then only what it learns late tells that it did not run.
    pub fn of(previous: &Snapshot, looked: Duration, news: &News) -> Option<Self> {
        let (looked, end) = (seconds(looked), seconds(news.boot()));
        let mut patches = previous.patches.iter();
        let is_start_known = patches.any(|patch| patch.transition.is_some());
        let start = if is_start_known {
            looked
        } else {
            let times = news.entries.iter().map(|entry| entry.boot_seconds);
            times.filter(|at| *at >= looked).reduce(f64::min)?
        };
        (end - start >= SHORTEST).then_some(Self {
            start,
            end,
            is_start_known,
        })
    }

    /// How much of the time between these two it takes.
    pub fn within(&self, from: f64, to: f64) -> f64 {
        three_digits((to.min(self.end) - from.max(self.start)).max(0.0))
    }

    /// Adds it to a transition that has ended.
    pub fn add_to(&self, record: &mut Record) {
        let from = record.started_boot_seconds.unwrap_or(self.start);
        record.unwatched_seconds += self.within(from, record.ended_boot_seconds);
    }

    /// The report.
    pub fn draft(&self, now: &Moment) -> Draft {
        let length = three_digits(self.end - self.start);
        let least = if self.is_start_known { "" } else { "at least " };
        let message = format!(
            "lpwatch did not run for {least}{}: it was stopped, or the host was suspended or \
             overloaded. Which tasks switched meanwhile, and why others did not, was not seen.",
            time(length)
        );
        let start = Duration::try_from_secs_f64(self.start).unwrap_or(now.boot);
        let draft = Draft::new(EntryKind::WatchInterrupted, message).warning();
        draft.at(Some(now.at(start).wall)).with(Details {
            seconds: Some(length),
            ..Details::default()
        })
    }
}
