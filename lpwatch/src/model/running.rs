//! A transition in progress: its progress, its blockers and its record.

use std::{collections::VecDeque, time::Duration};

use super::{
    Blocker, Direction, EngineKind, HostFacts, Moment, Operator, Outcome, PatchView, TaskSample,
    Thresholds,
    advice::{Situation, advice},
    classify::ClassifyContext,
    next_steps::{Stuck, next_steps},
    remaining::Remaining,
    snapshot::{PastTransition, SwitchedBy, Transition, TrendPoint},
    time::{milliseconds, seconds},
    waits::{CallbackKind, WaitSample},
};

mod held;

pub(super) use held::Completing;
use held::FoundHold;

/// The number of points of the trend. Of consecutive samples with the same number,
/// only the first and the last are kept, so a long stall does not displace the fall
/// before it.
const TREND_POINTS: usize = 120;

/// A first sample this soon after the beginning shows the transition from there on.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A transition in progress.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub patch: String,
    pub direction: Direction,
    /// When it began, if that was observed.
    pub began: Option<Moment>,
    /// When it began in this direction, if that was observed.
    pub direction_began: Option<Moment>,
    /// When lpwatch first knew of it.
    pub first_seen: Moment,
    /// The last event or reading that showed it, since boot.
    pub last_heard: Duration,
    /// Whether an event gave the direction; sysfs shows `enabled=0` for a moment
    /// while a patch is being enabled.
    pub direction_reported: bool,
    /// Whether sysfs has shown it: a hook reports the start earlier.
    pub seen_at_it: bool,
    pub turns: Turns,
    pub discovery: Discovery,
    pub tries: Option<u32>,
    pub signals: Option<u32>,
    /// The log reports the first signal in this direction, and no later one.
    pub was_signalled: bool,
    /// The tries and signals before its last reversal; `None` if not all were
    /// counted.
    before: Efforts,
    tasks_total: Option<u32>,
    /// Tasks switched before it began, if they were counted then, and during it.
    pub switched_before: Option<SwitchedBy>,
    switched: Option<SwitchedBy>,
    remaining: Option<Remaining>,
    /// When the last sample was taken, since boot.
    sampled: Option<Duration>,
    trend: VecDeque<TrendPoint>,
    /// A hook reported that all tasks have switched.
    pub completing: Option<Completing>,
    /// What it waits for if it is no task.
    held: Option<FoundHold>,
    /// The kernel's last try, since boot, if hooks report tries.
    last_try: Option<Duration>,
}

/// How often the kernel checked and signalled the tasks.
#[derive(Clone, Copy, Debug, Default)]
struct Efforts {
    tries: Option<u32>,
    signals: Option<u32>,
}

impl Efforts {
    const NONE: Self = Self {
        tries: Some(0),
        signals: Some(0),
    };
}

/// What changed its outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// How often an operator reversed it.
    pub reversals: u32,
    /// Who reversed it last, if a hook reported it.
    pub reversed_by: Option<Operator>,
    pub forced: bool,
    pub forced_by: Option<Operator>,
    pub cancelled: bool,
}

/// How a transition came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discovery {
    /// It was not there before, or an event reports it.
    Beginning,
    /// The first reading found it under way.
    Midway,
}

impl Turns {
    /// Whether it goes in the other direction than at its beginning: reversed twice, it
    /// does not.
    pub fn is_turned(&self) -> bool {
        self.reversals % 2 == 1
    }

    /// Its outcome.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self {
                cancelled: true, ..
            } => Outcome::Cancelled,
            Self { forced: true, .. } => Outcome::Forced,
            Self { .. } if self.is_turned() => Outcome::Reversed,
            Self { .. } => Outcome::Completed,
        }
    }
}

impl Running {
    pub fn new(patch: String, direction: Direction, first_seen: Moment) -> Self {
        Self {
            patch,
            direction,
            began: None,
            direction_began: None,
            first_seen,
            last_heard: first_seen.boot,
            direction_reported: false,
            seen_at_it: false,
            turns: Turns::default(),
            discovery: Discovery::Beginning,
            tries: None,
            signals: None,
            was_signalled: false,
            before: Efforts::default(),
            tasks_total: None,
            switched_before: None,
            switched: None,
            remaining: None,
            sampled: None,
            trend: VecDeque::new(),
            completing: None,
            held: None,
            last_try: None,
        }
    }

    /// Notes that the transition begins, at `moment`, in this direction.
    pub fn begin(mut self, moment: Moment) -> Self {
        self.began = Some(moment);
        self.direction_began = Some(moment);
        self.direction_reported = true;
        self.before = Efforts::NONE;
        self
    }

    /// Applies the direction of an event.
    pub fn note_direction(&mut self, direction: Option<Direction>) {
        let Some(direction) = direction else { return };
        if direction != self.direction {
            let seen_reversed = self.direction_reported;
            let (before, turns) = (self.before, self.turns.clone());
            self.reverse(None);
            if !seen_reversed {
                self.turns = turns;
                self.before = before;
            }
        }
        self.direction_reported = true;
    }

    /// Its outcome if it ends now. A disabling that was found under way may have begun
    /// as a reversal.
    pub fn outcome(&self) -> Outcome {
        let is_unclear = self.discovery == Discovery::Midway
            && self.direction_began.is_none()
            && self.direction == Direction::Unpatching;
        match self.turns.outcome() {
            Outcome::Completed if is_unclear => Outcome::Unknown,
            known => known,
        }
    }

    /// The transition is reversed: its progress starts again.
    pub fn reverse(&mut self, moment: Option<Moment>) {
        self.direction = self.direction.opposite();
        self.direction_began = moment;
        self.turns.reversals = self.turns.reversals.saturating_add(1);
        self.turns.reversed_by = None;
        self.before = self.in_all();
        self.tries = None;
        self.signals = None;
        self.was_signalled = false;
        self.remaining = None;
        self.trend.clear();
        self.held = None;
        self.last_try = None;
    }

    /// The tries and signals in both directions.
    fn in_all(&self) -> Efforts {
        let sum = |before: Option<u32>, now: Option<u32>| Some(before?.saturating_add(now?));
        Efforts {
            tries: sum(self.before.tries, self.tries),
            signals: sum(self.before.signals, self.signals),
        }
    }

    /// Whether a sample of its tasks was taken.
    pub fn was_sampled(&self) -> bool {
        self.remaining.is_some()
    }

    /// Applies the kernel's own count of earlier tries. The kernel signals at
    /// the end of every 15th unsuccessful one (`SIGNALS_TIMEOUT`,
    /// kernel/livepatch/transition.c).
    pub fn note_tries(&mut self, before: Option<u32>, completing: bool) {
        const SIGNALS_TIMEOUT: u32 = 15;
        let Some(before) = before else { return };
        self.tries = Some(before.saturating_add(1));
        let unsuccessful = if completing {
            before.saturating_sub(1)
        } else {
            before
        };
        self.signals = Some(unsuccessful / SIGNALS_TIMEOUT);
    }

    /// Adds a sample of all tasks. Progress is a new lowest number of remaining
    /// tasks, so children that inherit old code and soon switch do not count.
    pub fn sample(&mut self, sample: TaskSample, now: &Moment) {
        if sample.direction != self.direction || self.is_outdated(&sample) {
            return;
        }
        self.sampled = Some(sample.at);
        // The clock of the log, which may have told the beginning, is not exact.
        let began = self.direction_began.filter(|began| began.boot > sample.at);
        let at = began.unwrap_or_else(|| now.at(sample.at));
        let left = sample.remaining.len();
        self.tasks_total = sample.total;
        self.switched = sample
            .switched
            .zip(self.switched_before)
            .map(|(switched, before)| switched.since(&before));
        self.last_heard = self.last_heard.max(sample.at);
        let partly = sample.unread > 0;
        if !partly {
            self.push_trend(left, &at);
        }
        // The tasks of the first sample have remained since the beginning.
        let born = self.direction_began;
        let remaining = self.remaining.take();
        let mut remaining = remaining.unwrap_or_else(|| Remaining::new(left, at));
        remaining.look(sample.remaining, partly, at, born);
        self.remaining = Some(remaining);
    }

    /// Whether a pass began before an earlier sample: then its numbers are not those
    /// of now.
    fn is_outdated(&self, sample: &TaskSample) -> bool {
        self.sampled.is_some_and(|sampled| sample.at < sampled)
    }

    fn push_trend(&mut self, left: usize, at: &Moment) {
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        let mut latest = self.trend.iter().rev().map(|point| point.remaining);
        if latest.next() == Some(remaining) && latest.next() == Some(remaining) {
            self.trend.pop_back();
        } else if self.trend.len() == TREND_POINTS {
            self.trend.pop_front();
        }
        self.trend.push_back(TrendPoint {
            seconds: seconds(at.since(&self.first_seen)),
            remaining,
        });
    }

    /// The state of this transition at `now`.
    pub fn snapshot(
        &self,
        now: &Moment,
        thresholds: &Thresholds,
        patch: &PatchView,
        all: &[PatchView],
        host: &HostFacts,
    ) -> Transition {
        let age = self.direction_began.map(|began| now.since(&began));
        let idle = self.without_progress(now);
        let context = ClassifyContext {
            patch,
            all,
            code: &[],
            direction: self.direction,
            traits: host.traits,
            signalled: self.was_signalled || self.signals.is_some_and(|signals| signals > 0),
        };
        let waits_for = self.waits_for(now);
        let blockers = self.blockers(now, &context);
        let phase = thresholds.phase(age, idle);
        let stuck = Stuck {
            engine: patch.engine,
            patch: &self.patch,
            replace: patch.replace,
            direction: self.direction,
            age,
            signals: self.signals,
            kernel: &host.kernel,
        };
        let in_all = self.in_all();
        Transition {
            direction: self.direction,
            started_at: self.direction_began.map(|began| began.wall),
            age_seconds: age.map(seconds),
            tasks_total: self.tasks_total,
            tasks_remaining: self.tasks_remaining(),
            tries: self.tries,
            signals: self.signals,
            tries_in_all: in_all.tries,
            signals_in_all: in_all.signals,
            phase,
            reversed: self.turns.reversals > 0,
            reversed_by: self.turns.reversed_by.clone(),
            forced: self.turns.forced,
            forced_by: self.turns.forced_by.clone(),
            seconds_without_progress: idle.map(seconds),
            trend: self.trend.iter().copied().collect(),
            next: next_steps(&stuck, phase, &blockers, waits_for.as_ref()),
            waits_for,
            switched: self.switched,
            blockers,
        }
    }

    /// How long no task has switched; `None` if a task may have since lpwatch last saw
    /// one switch, or if tasks could not be read. If lpwatch has seen none, it counts from the beginning, provided
    /// that no task can have switched unseen.
    fn without_progress(&self, now: &Moment) -> Option<Duration> {
        let remaining = self.remaining.as_ref();
        let remaining = remaining.filter(|remaining| !remaining.is_partial())?;
        let watched = self.direction_began.is_none();
        let from_beginning = || {
            let began = self.direction_began?;
            let all_left = self.tasks_total.is_some() && remaining.count() == self.tasks_total;
            let seen_at_once = remaining.first_look().since(&began) < AT_ONCE;
            (all_left || seen_at_once).then_some(began)
        };
        let seen = remaining.unchanged_since(watched);
        seen.or_else(from_beginning).map(|since| now.since(&since))
    }

    /// Whether a task remains without an answer of the kernel.
    pub fn lacks_answers(&self) -> bool {
        self.remaining
            .as_ref()
            .is_some_and(Remaining::lacks_answers)
    }

    fn tasks_remaining(&self) -> Option<u32> {
        if self.completing.is_some() {
            return Some(0);
        }
        self.remaining.as_ref().and_then(Remaining::count)
    }

    fn blockers(&self, now: &Moment, context: &ClassifyContext<'_>) -> Vec<Blocker> {
        let Some(remaining) = self.remaining.as_ref().filter(|_| self.waits_for_tasks()) else {
            return Vec::new();
        };
        let situation = Situation {
            engine: context.patch.engine,
            patch: &self.patch,
            direction: self.direction,
            age: self.direction_began.map(|began| now.since(&began)),
            signals: self.signals,
        };
        let mut blockers = remaining.blockers(now, context);
        // A task does not switch while the kernel does not try.
        for blocker in blockers.iter_mut().filter(|_| self.held.is_none()) {
            blocker.advice = advice(blocker, &situation);
        }
        blockers
    }

    /// The record of this transition, ended at `ended`.
    pub fn finish(
        self,
        engine: EngineKind,
        ended: Moment,
        outcome: Outcome,
        recorded: Option<Duration>,
    ) -> PastTransition {
        let in_all = self.in_all();
        PastTransition {
            duration_seconds: self.began.map(|began| seconds(ended.since(&began))),
            started_at: self.began.map(|began| began.wall),
            patch: Some(self.patch),
            engine: Some(engine),
            direction: Some(if self.turns.is_turned() {
                self.direction.opposite()
            } else {
                self.direction
            }),
            outcome,
            ended_at: ended.wall,
            refusal: None,
            tries: self.tries,
            signals: self.signals,
            tries_in_all: in_all.tries,
            signals_in_all: in_all.signals,
            tasks_total: self.tasks_total,
            recorded_after_ms: recorded.map(milliseconds),
            check: None,
            stopped: None,
            reversed_by: self.turns.reversed_by,
            forced_by: self.turns.forced_by,
        }
    }
}
