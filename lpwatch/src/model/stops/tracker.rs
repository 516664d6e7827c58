//! The stops so far: sums for each patching system, and the last stops.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::model::{EngineKind, Moment, snapshot::PastTransition, time::milliseconds};

use super::{BOUNDS_MS, LastStop, OfEngine, Stop, Stopped, Stops, engine_of};

/// The number of stops to keep.
const LAST: usize = 64;
/// The number of stops to show.
const SHOWN: usize = 16;

/// A system that stops the machine shows the result a little later in its files.
const ONE_STORY: SignedDuration = SignedDuration::from_secs(10);

/// The precision of wall-clock times.
const CLOCK: SignedDuration = SignedDuration::from_millis(1);

/// All recorded stops.
#[derive(Debug, Default)]
pub struct StopTracker {
    since: Option<Moment>,
    engines: BTreeMap<Option<EngineKind>, Sum>,
    /// Newest first.
    last: VecDeque<Kept>,
    lost: u64,
}

#[derive(Debug, Default)]
struct Sum {
    times: u64,
    total: Duration,
    longest: Duration,
    buckets: [u64; BOUNDS_MS.len() + 1],
}

#[derive(Debug)]
struct Kept {
    shown: LastStop,
    /// It belongs to a transition of its system.
    told: bool,
}

impl StopTracker {
    pub fn begin(&mut self, since: Moment) {
        self.since = Some(since);
        self.engines.entry(None).or_default();
    }

    pub fn note_lost(&mut self, lost: u64) {
        self.lost = lost;
    }

    pub fn note(&mut self, stop: Stop) {
        let Stop {
            at,
            joined,
            function,
            module,
        } = stop;
        let engine = engine_of(function.as_deref(), module.as_deref());
        let stopped = joined.stopped();
        let sum = self.engines.entry(engine).or_default();
        sum.times += 1;
        sum.total += stopped;
        sum.longest = sum.longest.max(stopped);
        let ms = milliseconds(stopped);
        let within = BOUNDS_MS.iter().position(|bound| ms <= *bound);
        sum.buckets[within.unwrap_or(BOUNDS_MS.len())] += 1;
        self.last.truncate(LAST - 1);
        let shown = LastStop {
            at: at.wall,
            engine,
            function,
            module,
            stopped_ms: ms,
            held_ms: milliseconds(joined.held()),
            cpus: joined.cpus,
            cpus_of: (joined.cpus_of != 0).then_some(joined.cpus_of),
        };
        self.last.push_front(Kept { shown, told: false });
    }

    /// `None` if stops are not hooked.
    #[must_use]
    pub fn shown(&self) -> Option<Stops> {
        let engines = self.engines.iter().map(|(engine, sum)| OfEngine {
            engine: *engine,
            times: sum.times,
            total_ms: milliseconds(sum.total),
            longest_ms: milliseconds(sum.longest),
            buckets: sum.buckets.to_vec(),
        });
        Some(Stops {
            counted_since: self.since?.wall,
            engines: engines.collect(),
            last: self
                .last
                .iter()
                .take(SHOWN)
                .map(|kept| kept.shown.clone())
                .collect(),
            records_lost: self.lost,
        })
    }

    /// The stops during a transition; `None` if unknown.
    ///
    /// For livepatch, whose start and end are known, these are all stops that no other
    /// patching system made. The systems that stop the machine report neither, so
    /// theirs are their own stops just before.
    pub fn during(&mut self, past: &PastTransition) -> Option<Stopped> {
        let since = self.since?.wall;
        match (past.engine?, past.started_at) {
            (EngineKind::Livepatch, Some(started)) if started >= since => {
                Some(self.between(started, past.ended_at))
            }
            (EngineKind::Livepatch, _) => None,
            (engine, _) => self.untold(engine, past.ended_at),
        }
    }

    fn between(&self, started: Timestamp, ended: Timestamp) -> Stopped {
        let of_nobody = self.last.iter().filter(|kept| kept.shown.engine.is_none());
        sum(of_nobody.map(|kept| &kept.shown).filter(|stop| {
            stop.at.duration_since(started) >= -CLOCK && stop.at.duration_since(ended) <= CLOCK
        }))
    }

    fn untold(&mut self, engine: EngineKind, ended: Timestamp) -> Option<Stopped> {
        let mut own = Vec::new();
        for Kept { shown, told } in &mut self.last {
            let is_own = shown.engine == Some(engine) && !*told;
            if is_own && ended.duration_since(shown.at).abs() < ONE_STORY {
                *told = true;
                own.push(&*shown);
            }
        }
        (!own.is_empty()).then(|| sum(own.into_iter()))
    }
}

fn sum<'a>(stops: impl Iterator<Item = &'a LastStop>) -> Stopped {
    let mut sum = Stopped::default();
    for stop in stops {
        sum.times += 1;
        sum.total_ms += stop.stopped_ms;
        sum.longest_ms = sum.longest_ms.max(stop.stopped_ms);
        if let Some(function) = &stop.function
            && !sum.functions.contains(function)
        {
            sum.functions.push(function.clone());
        }
    }
    sum.total_ms = crate::model::time::three_digits(sum.total_ms);
    sum
}
