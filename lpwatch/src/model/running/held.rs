//! A transition that waits for something other than a task.

use std::time::Duration;

use crate::model::{Direction, Moment, time::seconds};

use super::{CallbackKind, Remaining, Running, WaitSample};
use crate::model::waits::TransitionHold;

/// The kernel tries once a second; without a try for this time it does something else.
const BETWEEN_TRIES: Duration = Duration::from_secs(4);

/// The end of a transition, from the moment at which all tasks have switched: the
/// kernel cleans up, waits for all CPUs, and calls the patch's callbacks.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Completing {
    pub at: Moment,
    /// The delay of the hook's event.
    pub delay: Duration,
}

impl Completing {
    /// The clean-up usually takes less; the hook's moment is then the end.
    const BRIEF: Duration = Duration::from_secs(1);

    /// When it ended, if that became known at `known`, and how late lpwatch records it.
    pub fn end(&self, known: Moment, now: &Moment) -> (Moment, Duration) {
        if known.since(&self.at) < Self::BRIEF {
            (self.at, self.delay)
        } else {
            (known, now.since(&known))
        }
    }
}

/// What was found in searches.
#[derive(Clone, Debug)]
pub(super) struct FoundHold {
    sample: WaitSample,
    /// When it was first found so.
    since: Moment,
    searches: u32,
}

impl FoundHold {
    /// Whether it is something else than work of the kernel, which is always there for
    /// a moment.
    fn is_no_own_work(&self) -> bool {
        let callback = || self.sample.callback(Direction::Patching).is_some();
        !self.sample.holders.is_empty() || callback()
    }
}

impl Running {
    /// Whether something other than a task may hold it: none is left, none may switch
    /// yet, or the kernel does not try. `hooked` is whether hooks report its events.
    pub fn may_be_held(&self, now: Duration, hooked: bool) -> bool {
        if let Some(completing) = &self.completing {
            // What holds it goes on when all tasks have switched.
            let is_known = self.held.as_ref().is_some_and(FoundHold::is_no_own_work);
            return is_known || now.saturating_sub(completing.at.boot) >= Completing::BRIEF;
        }
        // Its direction is known only from the callback.
        if self.direction_before_switching().is_some() {
            return true;
        }
        let is_empty = self.remaining.as_ref();
        if is_empty.is_some_and(Remaining::found_none) {
            return true;
        }
        let last = self.last_try.or_else(|| {
            let began = self.began.filter(|_| self.tries.is_none());
            began.map(|began| began.boot)
        });
        let passed = |since: Duration| now.saturating_sub(since) >= self.patience();
        if hooked {
            return last.is_some_and(passed);
        }
        // Without hooks it is unknown when the kernel tried.
        self.none_has_switched() && self.began.is_none_or(|began| passed(began.boot))
    }

    /// Whether the last sample found every task on old code.
    fn none_has_switched(&self) -> bool {
        let remaining = self.remaining.as_ref();
        let left = remaining.and_then(Remaining::count);
        left.is_some() && left == self.tasks_total
    }

    /// How long the kernel's next step may take.
    fn patience(&self) -> Duration {
        if self.tries.is_none() {
            Completing::BRIEF
        } else {
            BETWEEN_TRIES
        }
    }

    /// Notes a try of the kernel.
    pub fn note_try(&mut self, at: Duration, hooked: bool) {
        self.last_try = hooked.then_some(at);
        self.held = None;
    }

    /// Applies a search for what it waits for.
    pub fn note_wait(&mut self, sample: WaitSample, now: &Moment) {
        let callback = sample.callback(self.direction);
        // sysfs shows `enabled` as it was before such a callback.
        let direction = callback.and_then(CallbackKind::direction_before);
        if let Some(direction) = direction.filter(|_| !self.direction_reported)
            && direction != self.direction
        {
            self.direction = direction;
            self.remaining = None;
            self.trend.clear();
        }
        let at = now.at(sample.at);
        if sample.task.is_none() && sample.holders.is_empty() {
            self.held = None;
            return;
        }
        match &mut self.held {
            Some(held) if held.sample.is_same(&sample) => {
                held.sample = sample;
                held.searches = held.searches.saturating_add(1);
            }
            held => {
                *held = Some(FoundHold {
                    sample,
                    since: at,
                    searches: 1,
                });
            }
        }
    }

    /// The direction of the transition whose tasks cannot switch yet.
    pub fn direction_before_switching(&self) -> Option<Direction> {
        let callback = self.held.as_ref()?.sample.callback(self.direction)?;
        callback.direction_before()
    }

    /// Whether tasks are what it waits for, as far as is known.
    pub(super) fn waits_for_tasks(&self) -> bool {
        let none_left = || {
            let remaining = self.remaining.as_ref();
            remaining.is_some_and(Remaining::has_none)
        };
        self.completing.is_none()
            && self.direction_before_switching().is_none()
            && !(self.held.is_some() && none_left())
    }

    pub fn waits_for(&self, now: &Moment) -> Option<TransitionHold> {
        let held = self.held.as_ref()?;
        let completing = self.completing.map(|completing| completing.at);
        let began = || {
            let before = self.direction_before_switching().is_some();
            self.direction_began.filter(|_| before)
        };
        let seen = || (held.searches > 1).then_some(held.since);
        let since = completing.or_else(began).or_else(seen);
        let since = since.map(|since| seconds(now.since(&since)));
        held.sample.wait(self.direction, since)
    }
}
