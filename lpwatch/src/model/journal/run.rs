//! A transition under way, and what was reported of it.

mod drafts;
mod wait;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::model::{
    Blocker, Direction, Outcome, Phase, Reason, TransitionHold,
    snapshot::{PastTransition, Patch, Transition, TrendPoint},
    task_report::by_reason,
    time::seconds,
};

use drafts::{begun, details, found, left, ordered, reversed, switched_draft};
use wait::Wait;

pub(super) use drafts::begun_unseen;

use super::{
    Details, EntryKind, HeldBlocker, News, Record,
    gap::WatchGap,
    news::Draft,
    words::{after, doing, tasks, time},
};

/// The shortest time between two reports of tasks that switched.
const SWITCHED_EVERY: Duration = Duration::from_secs(10);

/// The number of tasks that are looked at in one snapshot, and kept.
const LOOKED_AT: usize = 256;

/// The points of the course before a reversal that a record keeps.
const BEFORE: usize = 120;

/// The number of tasks that a record keeps.
const KEPT: usize = 64;
/// Of tasks that were left for a shorter time, in seconds, none is kept if another was
/// left for longer: after a reversal nearly all tasks are left for a moment.
const LASTING: f64 = 1.0;

/// A transition under way.
#[derive(Debug)]
pub(super) struct Run {
    first_seen: Duration,
    direction: Direction,
    /// The worst phase that was reported in this direction.
    phase: Phase,
    /// The tasks left at the last report of tasks that switched, and when.
    told: Option<(Duration, u32)>,
    /// The tasks left when lpwatch last looked.
    left: Option<u32>,
    signalled: bool,
    reversed: bool,
    forced: bool,
    wait: Option<Wait>,
    /// For how long lpwatch did not run meanwhile, in seconds.
    unwatched: f64,
    programs: BTreeSet<String>,
    /// How often it was reversed.
    reversals: u32,
    /// By the number of reversals before, the task and its name.
    blockers: BTreeMap<(u32, u32, String), HeldBlocker>,
    course: Vec<TrendPoint>,
    /// That before its last reversal.
    course_before: Vec<TrendPoint>,
}

impl Run {
    /// Reports the beginning.
    pub fn begin(patch: &Patch, transition: &Transition, news: &mut News) -> Self {
        let is_first_look =
            news.entries.first().map(|entry| entry.kind) == Some(EntryKind::WatchBegan);
        // A reversed one began in the other direction.
        let direction = if transition.reversed {
            transition.direction.opposite()
        } else {
            transition.direction
        };
        let started = transition.started_at.filter(|_| !transition.reversed);
        let name = patch.name.as_str();
        let draft = if is_first_look || started.is_none() {
            found(patch, transition)
        } else {
            Draft::new(EntryKind::TransitionBegun, begun(direction, name))
                .at(started)
                .with(Details {
                    engine: Some(patch.engine),
                    direction: Some(direction),
                    tasks_total: transition.tasks_total,
                    ..Details::default()
                })
        };
        news.push(draft.of(name));
        Self {
            first_seen: news.boot(),
            direction: transition.direction,
            // An earlier daemon has reported the rest.
            phase: transition
                .phase
                .filter(|_| is_first_look)
                .unwrap_or(Phase::Progressing),
            told: None,
            left: None,
            signalled: is_first_look && transition.signals.is_some_and(|signals| signals > 0),
            reversed: is_first_look && transition.reversed,
            forced: is_first_look && transition.forced,
            wait: None,
            unwatched: 0.0,
            programs: BTreeSet::new(),
            reversals: 0,
            blockers: BTreeMap::new(),
            course: Vec::new(),
            course_before: Vec::new(),
        }
    }

    /// It goes on after a time in which lpwatch did not run.
    pub fn note_gap(&mut self, gap: &WatchGap) {
        self.unwatched += gap.within(seconds(self.first_seen), f64::INFINITY);
    }

    /// Reports what is new.
    pub fn follow(&mut self, patch: &Patch, transition: &Transition, news: &mut News) {
        let details = details(patch, transition);
        let name = patch.name.as_str();
        let mut push = |draft: Draft| news.push(draft.of(name));
        if transition.direction != self.direction || (transition.reversed && !self.reversed) {
            self.direction = transition.direction;
            if transition.reversed {
                self.reversed = true;
                let by = transition.reversed_by.as_ref();
                let draft = reversed(name, transition.direction, by, details.clone());
                push(draft.at(transition.started_at));
            }
            self.start_again();
        }
        if transition.forced && !self.forced {
            self.forced = true;
            // Now none is left any more.
            let left = self.left.map(tasks);
            let left = left.map_or_else(
                || "The tasks left".to_owned(),
                |left| format!("{left} left"),
            );
            let text = format!(
                "An operator forced the transition of {name}. {left} switched without a check."
            );
            let by = transition.forced_by.as_ref();
            let details = Details {
                tasks_remaining: self.left,
                ..details.clone()
            };
            push(ordered(EntryKind::TransitionForced, text, by, details).danger());
        }
        if !self.signalled && transition.signals.is_some_and(|signals| signals > 0) {
            self.signalled = true;
            let text = format!(
                "The kernel signals the tasks left{}: {}.",
                after(transition.age_seconds),
                doing(self.direction, name)
            );
            push(Draft::new(EntryKind::TasksSignalled, text).with(details.clone()));
        }
        // That no task is left after force is no progress.
        if !self.forced {
            self.follow_tasks(name, transition, &details, news);
            self.follow_phase(name, transition, details.clone(), news);
            self.left = transition.tasks_remaining;
        }
        self.follow_wait(name, transition.waits_for.as_ref(), &details, news);
        self.follow_blockers(name, transition, &details, news);
        if !transition.trend.is_empty() {
            self.course.clone_from(&transition.trend);
        }
    }

    /// A reversal: its progress starts again.
    fn start_again(&mut self) {
        self.phase = Phase::Progressing;
        self.told = None;
        self.left = None;
        self.signalled = false;
        self.reversals += 1;
        if self.blockers.len() >= LOOKED_AT {
            self.blockers.retain(|_, held| stay(held) >= LASTING);
        }
        self.course_before.append(&mut self.course);
        let surplus = self.course_before.len().saturating_sub(BEFORE);
        self.course_before.drain(..surplus);
    }

    fn follow_phase(
        &mut self,
        name: &str,
        transition: &Transition,
        mut details: Details,
        news: &mut News,
    ) {
        let Some(phase) = transition.phase else {
            return;
        };
        let was_stalled = self.phase == Phase::Stalled;
        if phase <= self.phase && !(was_stalled && phase != Phase::Stalled) {
            return;
        }
        self.phase = phase;
        let what = doing(transition.direction, name);
        let age = after(transition.age_seconds);
        let left = left(transition);
        let draft = if was_stalled {
            Draft::new(
                EntryKind::TransitionResumed,
                format!("Tasks switch again: {what}.{left}"),
            )
        } else {
            match phase {
                Phase::Progressing => return,
                Phase::Slow => Draft::new(
                    EntryKind::TransitionSlow,
                    format!("The transition is slow{age}: {what}.{left}"),
                ),
                Phase::Long => Draft::new(
                    EntryKind::TransitionLong,
                    format!("The transition is long{age}: {what}.{left}"),
                )
                .warning(),
                Phase::Stalled => {
                    details.by_reason = by_reason(&transition.blockers.iter().collect::<Vec<_>>());
                    let idle = transition.seconds_without_progress.map(time);
                    let idle = idle.map_or_else(String::new, |idle| {
                        format!(" No task has switched for {idle}.")
                    });
                    Draft::new(
                        EntryKind::TransitionStalled,
                        format!("The transition is stalled{age}: {what}.{idle}{left}"),
                    )
                    .danger()
                }
            }
        };
        news.push(draft.of(name).with(details));
    }

    fn follow_tasks(
        &mut self,
        name: &str,
        transition: &Transition,
        details: &Details,
        news: &mut News,
    ) {
        let Some(left) = transition.tasks_remaining else {
            return;
        };
        let now = news.boot();
        let Some((at, before)) = self.told else {
            // How many switched before the first look is unknown.
            self.told = Some((now, left));
            return;
        };
        let switched = before.saturating_sub(left);
        if switched == 0 || now.saturating_sub(at) < SWITCHED_EVERY {
            return;
        }
        self.told = Some((now, left));
        news.push(switched_draft(name, switched, Some(left), details.clone()));
    }

    fn follow_wait(
        &mut self,
        name: &str,
        hold: Option<&TransitionHold>,
        details: &Details,
        news: &mut News,
    ) {
        let is_same = |wait: &Wait| hold.is_some_and(|hold| wait.is_for(hold));
        if self.wait.as_ref().is_some_and(is_same) {
            return;
        }
        if let Some(wait) = self.wait.take() {
            news.push(wait.ended(name, news.boot(), details));
        }
        if let Some(hold) = hold {
            let wait = Wait::of(hold, news.boot());
            news.push(wait.begun(name, hold, details));
            self.wait = Some(wait);
        }
    }

    fn follow_blockers(
        &mut self,
        name: &str,
        transition: &Transition,
        details: &Details,
        news: &mut News,
    ) {
        let now = seconds(news.boot().saturating_sub(self.first_seen));
        for blocker in transition.blockers.iter().take(LOOKED_AT) {
            self.note_program(name, blocker, details, news);
            let direction = transition.direction;
            let key = (self.reversals, blocker.tid, blocker.comm.clone());
            if self.blockers.len() >= LOOKED_AT && !self.blockers.contains_key(&key) {
                continue;
            }
            let held = self
                .blockers
                .entry(key)
                .or_insert_with(|| held(blocker, direction, now));
            let first_seconds = held.first_seconds;
            let before = std::mem::replace(held, self::held(blocker, direction, now));
            held.first_seconds = first_seconds;
            // The last look may have seen less.
            held.reason = held.reason.or(before.reason);
            if held.function.is_none() {
                held.function = before.function;
            }
            if held.program.is_none() {
                held.program = before.program;
            }
            if held.stack.is_empty() {
                held.stack = before.stack;
            }
        }
    }

    fn note_program(&mut self, name: &str, blocker: &Blocker, details: &Details, news: &mut News) {
        let Some(program) = &blocker.program else {
            return;
        };
        if blocker.reason != Some(Reason::UnreliableStack)
            || !self.programs.insert(format!("{program:?}"))
        {
            return;
        }
        let kind = program.kind.as_deref().unwrap_or("tracing");
        let title = program.name.as_deref().or(program.attached_to.as_deref());
        let title = title.map_or_else(String::new, |title| format!(" {title}"));
        let owner = program.owner_comm.as_deref();
        let owner = owner.map_or_else(String::new, |owner| format!(" of {owner}"));
        let text = format!(
            "The {kind} program{title}{owner} makes the stack of {} (thread {}) unreliable, so \
             that the task cannot switch: {}.",
            blocker.comm,
            blocker.tid,
            doing(self.direction, name)
        );
        let details = Details {
            tid: Some(blocker.tid),
            comm: Some(blocker.comm.clone()),
            program: Some(program.clone()),
            ..details.clone()
        };
        news.push(
            Draft::new(EntryKind::ForeignTracing, text)
                .of(name)
                .warning()
                .with(details),
        );
    }

    /// Reports what came before its end, and gives the course to `record`.
    pub fn end(self, past: &PastTransition, record: &mut Record, news: &mut News) {
        let name = past.patch.as_deref().unwrap_or("a patch");
        let details = Details {
            engine: past.engine,
            direction: Some(self.direction),
            tasks_total: past.tasks_total,
            ..Details::default()
        };
        if past.outcome == Outcome::Reversed && !self.reversed {
            let turned = past.direction.map(Direction::opposite);
            let details = details.clone();
            let by = past.reversed_by.as_ref();
            let draft = reversed(name, turned.unwrap_or(self.direction), by, details);
            news.push(draft.of(name).at(Some(past.ended_at)));
        }
        if let Some(wait) = &self.wait {
            let ended = wait.ended(name, news.boot(), &details);
            news.push(ended.at(Some(past.ended_at)));
        }
        record.unwatched_seconds = self.unwatched;
        // Those that switched since the last report.
        let rest = self.told.map(|(_, left)| left).filter(|left| *left > 0);
        let all_switched = matches!(past.outcome, Outcome::Completed | Outcome::Reversed);
        if let Some(rest) = rest.filter(|_| all_switched) {
            let draft = switched_draft(name, rest, Some(0), details);
            news.push(draft.at(Some(past.ended_at)));
        }
        let mut blockers: Vec<HeldBlocker> = self.blockers.into_values().collect();
        blockers.sort_by(|one, other| stay(other).total_cmp(&stay(one)));
        // Of a task that was left before and after reversals, the longest time.
        let mut seen = BTreeSet::new();
        blockers.retain(|held| seen.insert((held.direction.name(), held.tid, held.comm.clone())));
        if blockers
            .first()
            .is_some_and(|longest| stay(longest) >= LASTING)
        {
            blockers.retain(|held| stay(held) >= LASTING);
        }
        blockers.truncate(KEPT);
        record.blockers = blockers;
        record.course = self.course_before;
        record.course.extend(self.course);
    }
}

/// For how long it was seen left, in seconds.
fn stay(held: &HeldBlocker) -> f64 {
    held.last_seconds - held.first_seconds
}

fn held(blocker: &Blocker, direction: Direction, now: f64) -> HeldBlocker {
    HeldBlocker {
        direction,
        tid: blocker.tid,
        tgid: blocker.tgid,
        comm: blocker.comm.clone(),
        kthread: blocker.kthread,
        reason: blocker.reason,
        function: blocker.function.clone(),
        program: blocker.program.clone(),
        first_seconds: now,
        last_seconds: now,
        stack: blocker.stack.clone(),
    }
}
