//! The patches of each epoch, which show the code that a call ran.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::model::{Direction, Moment, SystemView};

use super::{FunctionId, Turn, stack::Stack};
use lpwatch_common::calls::{EPOCHS, STATE_PATCHED, STATE_UNPATCHED};

/// The number of epochs to keep: as many as the counters distinguish, and some
/// more for late readings.
const REMEMBERED: usize = 2 * EPOCHS;

/// How late an event may arrive: the hook changes the epoch before it sends the
/// event, and its CPU may be busy in between.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Which code a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code<'a> {
    /// The original code of the kernel or the module.
    Original,
    /// The code of this patch.
    Patch(&'a str),
    Unknown,
}

/// The time between two turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub number: u32,
    /// Since boot.
    pub began: Duration,
    pub state: State,
}

/// Which patches there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Rest(Stack),
    Transition {
        patch: String,
        direction: Direction,
        /// As it was when the transition began.
        stack: Stack,
        replace: Option<bool>,
    },
    /// A turn was lost.
    Unknown,
}

/// All epochs that still matter, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    epochs: VecDeque<Epoch>,
    /// What each patch changes.
    functions: BTreeMap<String, BTreeSet<FunctionId>>,
    /// A reading of sysfs that contradicts the turns, and since when. It is accepted
    /// if it persists.
    contradiction: Option<(State, Duration)>,
    /// A reading of the counters in an epoch that was not reported yet.
    untold: Option<(u32, Duration)>,
}

impl Timeline {
    /// Adds a turn at `at`.
    pub fn turn(&mut self, turn: Turn, at: Moment) {
        self.contradiction = None;
        let (number, state) = match turn {
            Turn::Begun {
                epoch,
                patch,
                direction,
                replace,
            } => (epoch, self.begun(patch, direction, replace)),
            Turn::Ended { epoch, direction } => (epoch, self.ended(direction)),
        };
        self.push(number, at.boot, state);
    }

    fn begun(&self, patch: String, direction: Direction, replace: Option<bool>) -> State {
        let stack = match self.epochs.back().map(|epoch| &epoch.state) {
            Some(State::Rest(stack)) => stack.clone(),
            Some(State::Transition {
                patch: same, stack, ..
            }) if *same == patch => stack.clone(),
            Some(State::Transition { .. } | State::Unknown) | None => return State::Unknown,
        };
        State::Transition {
            patch,
            direction,
            stack,
            replace,
        }
    }

    fn ended(&self, told: Option<Direction>) -> State {
        let Some(State::Transition {
            patch,
            direction,
            stack,
            replace,
        }) = self.epochs.back().map(|epoch| &epoch.state)
        else {
            return State::Unknown;
        };
        State::Rest(match told.unwrap_or(*direction) {
            Direction::Patching if *replace == Some(true) => Stack::of_one(patch),
            Direction::Patching => stack.with(patch),
            Direction::Unpatching => stack.without(patch),
        })
    }

    fn push(&mut self, number: u32, began: Duration, state: State) {
        if let Some(last) = self.epochs.back_mut() {
            if last.number == number {
                // sysfs showed it before its event arrived.
                last.state = state;
                return;
            }
            for lost in missing(last.number, number) {
                let state = State::Unknown;
                self.epochs.push_back(Epoch {
                    number: lost,
                    began,
                    state,
                });
            }
        }
        self.epochs.push_back(Epoch {
            number,
            began,
            state,
        });
        while self.epochs.len() > REMEMBERED {
            self.epochs.pop_front();
        }
    }

    /// Adds a reading of sysfs that was made after all turns so far.
    pub fn observe(&mut self, view: &SystemView) {
        self.learn_functions(view);
        if let Some((number, at)) = self.untold
            && view.read_at.saturating_sub(at) > ON_ITS_WAY
        {
            self.untold = None;
            if self.is_ahead(number) {
                // Its event would have arrived by now.
                self.push(number, at, State::Unknown);
            }
        }
        let seen = self.seen_in(view);
        let Some(last) = self.epochs.back_mut() else {
            let number = u32::from(view.in_transition().is_some());
            // Counters begin with the first epoch, so it began before them.
            self.push(number, Duration::ZERO, seen);
            return;
        };
        if last.state == State::Unknown {
            last.state = seen;
        } else if last.state.contradicts(&seen) {
            match &self.contradiction {
                Some((same, since)) if *same == seen => {
                    if view.read_at.saturating_sub(*since) > ON_ITS_WAY {
                        last.state = seen;
                        self.contradiction = None;
                    }
                }
                Some(_) | None => self.contradiction = Some((seen, view.read_at)),
            }
        } else {
            self.contradiction = None;
        }
    }

    fn learn_functions(&mut self, view: &SystemView) {
        for patch in view.livepatches() {
            self.functions
                .insert(patch.name.clone(), patch.function_ids().collect());
        }
        let Self {
            functions, epochs, ..
        } = self;
        functions.retain(|patch, _| {
            view.livepatches().any(|seen| seen.name == *patch)
                || epochs.iter().any(|epoch| epoch.state.knows(patch))
        });
    }

    /// The state that sysfs shows.
    fn seen_in(&self, view: &SystemView) -> State {
        let known = match self.epochs.back().map(|epoch| &epoch.state) {
            Some(State::Rest(stack) | State::Transition { stack, .. }) => stack.clone(),
            Some(State::Unknown) | None => Stack::default(),
        };
        let stack = known.as_seen(view);
        match view.in_transition() {
            None => State::Rest(stack),
            Some(patch) => {
                let direction = patch.direction();
                State::Transition {
                    patch: patch.name.clone(),
                    direction,
                    stack: match direction {
                        Direction::Patching => stack.without(&patch.name),
                        Direction::Unpatching => stack.with(&patch.name),
                    },
                    replace: patch.replace,
                }
            }
        }
    }

    /// The epochs from this one to that, both included; `None` if one of them was
    /// not reported yet. An epoch older than all that are kept counts as the
    /// oldest.
    pub fn between(&mut self, from: u32, to: u32, at: Duration) -> Option<Vec<Epoch>> {
        if self.is_ahead(to) {
            if self.untold.is_none_or(|(number, _)| number != to) {
                self.untold = Some((to, at));
            }
            return None;
        }
        self.untold = None;
        let within = |epoch: &&Epoch| !after(from, epoch.number) && !after(epoch.number, to);
        Some(self.epochs.iter().filter(within).cloned().collect())
    }

    /// Whether this epoch is later than all reported ones.
    fn is_ahead(&self, number: u32) -> bool {
        let last = self.epochs.back();
        last.is_none_or(|last| after(number, last.number))
    }

    /// The epoch at a time since boot; the oldest for times before all.
    pub fn number_at(&self, at: Duration) -> Option<u32> {
        let then = self.epochs.iter().rev().find(|epoch| epoch.began <= at);
        let epoch = then.or(self.epochs.front())?;
        Some(epoch.number)
    }

    /// The state of the latest epoch.
    pub fn now(&self) -> Option<&State> {
        self.epochs.back().map(|epoch| &epoch.state)
    }

    /// Whether a reading waits for the event of a turn.
    pub fn is_waiting(&self) -> bool {
        self.untold.is_some()
    }

    /// Whether a patch changes a function; `None` if unknown.
    pub fn changes(&self, patch: &str, function: &FunctionId) -> Option<bool> {
        self.functions
            .get(patch)
            .map(|functions| functions.contains(function))
    }

    /// The code that a call ran: of this function, in this epoch, by a task in
    /// this state (`lpwatch_common::calls::STATE_…`).
    pub fn code<'a>(&self, function: &FunctionId, epoch: &'a Epoch, state: usize) -> Code<'a> {
        match &epoch.state {
            // Tasks may be in the transition's states for a moment longer.
            State::Rest(stack) => self.top(stack, function, None),
            State::Transition {
                patch,
                stack,
                replace,
                ..
            } => match state {
                STATE_UNPATCHED => self.top(stack, function, Some(patch)),
                STATE_PATCHED => match (self.changes(patch, function), replace) {
                    (None, _) => Code::Unknown,
                    (Some(true), _) => Code::Patch(patch),
                    (Some(false), Some(true)) => Code::Original,
                    (Some(false), Some(false) | None) => self.top(stack, function, None),
                },
                // The kernel has not reached this task yet.
                _ => self.top(stack, function, None),
            },
            State::Unknown => Code::Unknown,
        }
    }

    /// The topmost patch of a stack that changes this function.
    fn top<'a>(&self, stack: &'a Stack, function: &FunctionId, without: Option<&str>) -> Code<'a> {
        let mut candidates = Vec::new();
        for patch in stack.downwards().filter(|patch| Some(*patch) != without) {
            match self.changes(patch, function) {
                Some(true) => candidates.push(patch),
                Some(false) => {}
                None => return Code::Unknown,
            }
        }
        match candidates.as_slice() {
            [] => Code::Original,
            [top, below @ ..] => {
                let unsure = stack.has_no_place(top) && !below.is_empty();
                if unsure {
                    Code::Unknown
                } else {
                    Code::Patch(top)
                }
            }
        }
    }
}

impl State {
    /// The patches that matter for the order of the code, the lowest first.
    pub fn position(&self, patch: &str) -> Option<usize> {
        match self {
            Self::Rest(stack) => stack.position(patch),
            Self::Transition {
                patch: turning,
                stack,
                ..
            } => {
                let place = stack.position(patch);
                place.or_else(|| (turning == patch).then_some(usize::MAX))
            }
            Self::Unknown => None,
        }
    }

    /// The patch in transition.
    pub fn turning(&self) -> Option<(&str, Direction)> {
        match self {
            Self::Transition {
                patch, direction, ..
            } => Some((patch, *direction)),
            Self::Rest(_) | Self::Unknown => None,
        }
    }

    fn knows(&self, patch: &str) -> bool {
        self.position(patch).is_some()
    }

    /// Whether sysfs contradicts this state. In a transition, sysfs lags behind the
    /// turns, so only states without one are compared.
    fn contradicts(&self, seen: &Self) -> bool {
        match (self, seen) {
            (Self::Rest(is), Self::Rest(seen)) => is != seen,
            (Self::Transition { .. }, Self::Rest(_)) => true,
            (_, Self::Transition { .. } | Self::Unknown) | (Self::Unknown, _) => false,
        }
    }
}

/// Whether epoch `one` comes after `other`; numbers may wrap.
pub(super) fn after(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < u32::MAX / 2
}

/// The numbers between two epochs, at most as many as are kept.
fn missing(last: u32, next: u32) -> Vec<u32> {
    let between = next.wrapping_sub(last).wrapping_sub(1);
    if between as usize > REMEMBERED {
        return Vec::new();
    }
    (1..=between)
        .map(|ahead| last.wrapping_add(ahead))
        .collect()
}
