//! Applies the events of hooks and the kernel log to the state.

use std::time::Duration;

use crate::model::{
    Direction, Event, EventKind, EventSource, Moment, Outcome, Refusal, calls::Turn,
    snapshot::PastTransition, time::milliseconds,
};

use super::Model;

/// The number of ended transitions to keep.
const PAST_TRANSITIONS: usize = 32;

/// How long a kernel message can count as the reason of a refusal.
const COMPLAINT_LIFE: Duration = Duration::from_secs(10);

/// The lines on the refusal of a module are logged within this time.
const CAUSE_LIFE: Duration = Duration::from_secs(1);

impl Model {
    /// Records how many events were lost so far; readings correct the state.
    pub(super) fn note_lost(&mut self, lost: u64) {
        if lost > self.events_lost {
            self.course.note_lost();
        }
        self.events_lost = lost;
    }

    /// Applies an event.
    pub(super) fn apply(&mut self, event: Event, now: &Moment) {
        let Event { at, source, kind } = event;
        // A line that was logged before the machine slept comes out late.
        let at = at.min(now.boot);
        let moment = now.at(at);
        let is_lifecycle = kind.is_lifecycle();
        let hooked = source == EventSource::Hook;
        if hooked && is_lifecycle && !matches!(kind, EventKind::Complete { .. }) {
            // What ended before this was not yet confirmed.
            let ended = self.course.end_completing(None, now);
            self.remember_ended(ended, moment);
        }
        let is_logged = source == EventSource::Log && is_lifecycle;
        // What hooks tell anyway does not count as told by the log.
        let is_repeated = is_logged && self.is_repeated(at, &kind);
        let repeats = is_repeated || self.reports.repeats(source, at, &kind);
        if is_logged && repeats {
            self.confirm_end(&kind, moment, now);
            return;
        }
        let is_own = !matches!(kind, EventKind::Elsewhere { .. });
        if let Some(running) = self.course.running_mut().filter(|_| is_own) {
            running.last_heard = running.last_heard.max(at);
        }
        match kind {
            EventKind::Refused { patch, errno } => self.refused(patch, errno, moment, now),
            EventKind::Complaint { patch, text } => self.complained(patch.as_deref(), text, moment),
            EventKind::Signaling => self.signaling(),
            EventKind::ObjectRefused {
                patch,
                object,
                errno,
                cause,
            } => {
                let cause = cause.or_else(|| self.take_cause(moment));
                self.refusals.note((patch, object), errno, cause, moment);
            }
            EventKind::ObjectReverted { patch, object } => {
                self.refusals.forget(&patch, &object);
            }
            EventKind::ObjectChanged | EventKind::ModuleChanged { .. } => {}
            EventKind::Elsewhere { engine, what } => self.elsewhere(engine, what, moment),
            kind if repeats => self.turn_calls(&kind, moment),
            kind => {
                self.turn_calls(&kind, moment);
                self.go_on(kind, moment, hooked, now);
            }
        }
    }

    /// Only the log reports when the kernel has finished, also if a hook has
    /// reported the end.
    fn confirm_end(&mut self, kind: &EventKind, at: Moment, now: &Moment) {
        if let EventKind::Complete { patch, .. } = kind
            && self.course.is_end(patch.as_deref(), at)
        {
            let ended = self.course.end_completing(Some(at), now);
            self.remember_ended(ended, at);
        }
    }

    /// Counts calls in another epoch, if one begins or ends.
    fn turn_calls(&mut self, kind: &EventKind, at: Moment) {
        let turn = match kind {
            EventKind::Begun {
                patch,
                direction,
                replace,
                epoch: Some(epoch),
            } => Turn::Begun {
                epoch: *epoch,
                patch: patch.clone(),
                direction: *direction,
                replace: *replace,
            },
            EventKind::Complete {
                direction,
                epoch: Some(epoch),
                ..
            } => Turn::Ended {
                epoch: *epoch,
                direction: *direction,
            },
            _ => return,
        };
        self.calls.turn(turn, at);
    }

    /// Applies what happens in the course of a transition.
    fn go_on(&mut self, kind: EventKind, at: Moment, hooked: bool, now: &Moment) {
        let course = &mut self.course;
        if !hooked && course.began_after(at) {
            return;
        }
        match kind {
            EventKind::Begun {
                patch,
                direction,
                replace,
                ..
            } => self.begun(patch, direction, replace, at),
            EventKind::Try {
                patch,
                direction,
                before,
            } => {
                if let Some(running) = course.running_or_found(patch, direction, at) {
                    running.seen_at_it = true;
                    running.note_direction(direction);
                    running.note_tries(before, false);
                    running.note_try(at.boot, hooked);
                }
            }
            EventKind::Complete {
                patch,
                direction,
                before,
                ..
            } => {
                let Some(running) = course.running_or_found(patch, direction, at) else {
                    return;
                };
                running.note_direction(direction);
                if !running.turns.cancelled {
                    running.note_tries(before, true);
                }
                if hooked {
                    course.complete(at, now.since(&at));
                } else {
                    self.finish(at);
                }
            }
            EventKind::Reversed { patch, by } => {
                if let Some(running) = course.running_or_found(patch, None, at) {
                    running.reverse(Some(at));
                    running.turns.reversed_by = by;
                }
            }
            EventKind::Forced { patch, by } => {
                if let Some(running) = course.running_or_found(patch, None, at) {
                    running.turns.forced = true;
                    running.turns.forced_by = by.or(running.turns.forced_by.take());
                }
            }
            EventKind::Cancelled { patch } => {
                if let Some(running) = course.running_or_found(patch, None, at) {
                    running.turns.cancelled = true;
                }
            }
            EventKind::Refused { .. }
            | EventKind::Complaint { .. }
            | EventKind::Signaling
            | EventKind::ObjectRefused { .. }
            | EventKind::ObjectReverted { .. }
            | EventKind::ObjectChanged
            | EventKind::ModuleChanged { .. }
            | EventKind::Elsewhere { .. } => {}
        }
    }

    /// Whether a log line at `at` repeats the report of a hook.
    fn is_repeated(&self, at: Duration, kind: &EventKind) -> bool {
        // An end that was reported while the last hooks were being attached.
        let told = matches!(kind, EventKind::Complete { patch: Some(patch), .. }
            if self.course.is_ending(patch));
        told || self.hooks_tell(at)
    }

    fn hooks_tell(&self, at: Duration) -> bool {
        !self.hooks_disabled && self.hooks_since.is_some_and(|since| at >= since)
    }

    fn begun(&mut self, patch: String, direction: Direction, replace: Option<bool>, at: Moment) {
        if let Some(replace) = replace {
            self.known_replace.insert(patch.clone(), replace);
        }
        if direction == Direction::Patching {
            self.refusals.forget_patch(&patch);
        }
        // What the log tells of began before anything was counted.
        let switched = self.hooks_tell(at.boot).then_some(self.switched);
        let before = self.course.begin(patch, direction, at, switched);
        self.remember_ended(before, at);
    }

    fn finish(&mut self, at: Moment) {
        let ended = self.course.finish(at, None, None);
        self.remember_ended(ended, at);
    }

    pub(super) fn remember_ended(&mut self, ended: Option<PastTransition>, at: Moment) {
        let Some(mut past) = ended else { return };
        if past.outcome == Outcome::Cancelled {
            past.refusal = Some(Refusal::because(self.take_complaints(at.boot)));
        }
        self.remember(past);
    }

    pub(super) fn remember(&mut self, mut past: PastTransition) {
        let checks = &self.checks;
        past.check = past
            .patch
            .as_deref()
            .and_then(|patch| checks.of(patch))
            .cloned();
        past.stopped = self.stops.during(&past);
        self.past.truncate(PAST_TRANSITIONS - 1);
        self.ended.push(past.clone());
        self.past.push_front(past);
    }

    fn refused(&mut self, patch: String, errno: u32, at: Moment, now: &Moment) {
        let cause = self.take_complaints(at.boot);
        // A patch cancelled in mid-way is refused, too: one story, one entry.
        if let Some(last) = self.past.front_mut()
            && last.patch.as_deref() == Some(&patch)
            && last.outcome == Outcome::Cancelled
            && errno_of(last).is_none()
        {
            let refusal = last.refusal.get_or_insert_default();
            refusal.errno = Some(errno);
            refusal.cause = refusal.cause.take().or(cause);
            return;
        }
        let refusal = Refusal {
            errno: Some(errno),
            ..Refusal::because(cause)
        };
        let mut past = PastTransition::refused(Some(patch), at.wall, refusal);
        past.recorded_after_ms = Some(milliseconds(now.since(&at)));
        self.remember(past);
    }

    fn complained(&mut self, patch: Option<&str>, text: String, at: Moment) {
        let hooks_tell = self.hooks_tell(at.boot);
        self.complaints
            .retain(|(when, _)| at.boot.saturating_sub(*when) < COMPLAINT_LIFE);
        match self.course.running_mut() {
            // A hook reports the refusal itself; this is the reason.
            _ if hooks_tell => self.complaints.push((at.boot, text)),
            // The kernel says this just before it cancels what it began.
            Some(running) if patch.is_none_or(|patch| patch == running.patch) => {
                running.turns.cancelled = true;
                self.complaints.push((at.boot, text));
            }
            _ => self.remember(PastTransition::refused(
                patch.map(str::to_owned),
                at.wall,
                Refusal::because(Some(text)),
            )),
        }
    }

    /// What the kernel complained of just before it refused to load a module, and
    /// what was taken for the refusal of a patch before that was known.
    fn take_cause(&mut self, at: Moment) -> Option<String> {
        let is_it = |past: &PastTransition| {
            past.outcome == Outcome::Refused
                && past.patch.is_none()
                && errno_of(past).is_none()
                && at.wall.duration_since(past.ended_at).unsigned_abs() < CAUSE_LIFE
        };
        if self.past.front().is_some_and(is_it) {
            return self.past.pop_front()?.refusal?.cause;
        }
        self.take_complaints(at.boot)
    }

    fn take_complaints(&mut self, at: Duration) -> Option<String> {
        let texts: Vec<String> = std::mem::take(&mut self.complaints)
            .into_iter()
            .filter(|(when, _)| at.saturating_sub(*when) < COMPLAINT_LIFE)
            .map(|(_, text)| text)
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// The log reports the first signal only: their number stays unknown.
    fn signaling(&mut self) {
        if let Some(running) = self.course.running_mut() {
            running.was_signalled = true;
        }
    }
}

/// The error with which the patch was refused.
fn errno_of(past: &PastTransition) -> Option<u32> {
    past.refusal.as_ref()?.errno
}
