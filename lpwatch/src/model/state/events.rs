//! Applies the events of hooks and the kernel log to the state.

use std::time::Duration;

use crate::model::{
    Direction, Event, EventKind, EventSource, Moment, Outcome, calls::Turn,
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
        let moment = now.at(at);
        let is_own = !matches!(kind, EventKind::Elsewhere { .. });
        let hooked = source == EventSource::Hook;
        if hooked && kind.is_lifecycle() && !matches!(kind, EventKind::Complete { .. }) {
            // What ended before this was not yet confirmed.
            let ended = self.course.end_completing(None, now);
            self.remember_ended(ended, moment);
        }
        let is_logged = source == EventSource::Log && kind.is_lifecycle();
        // What hooks tell anyway does not count as told by the log.
        let is_repeated = is_logged && self.is_repeated(at, &kind);
        let repeats = is_repeated || self.told.repeats(source, at, &kind);
        if is_logged && repeats {
            // Only the log reports when the kernel has finished.
            if let EventKind::Complete { patch, .. } = &kind
                && self.course.is_end(patch.as_deref(), moment)
            {
                let ended = self.course.end_completing(Some(moment), now);
                self.remember_ended(ended, moment);
            }
            return;
        }
        if let Some(running) = self.course.running_mut().filter(|_| is_own) {
            running.last_heard = running.last_heard.max(at);
        }
        match kind {
            EventKind::Begun {
                patch,
                direction,
                replace,
                epoch,
            } => {
                if let Some(epoch) = epoch {
                    let patch = patch.clone();
                    let turn = Turn::Begun {
                        epoch,
                        patch,
                        direction,
                        replace,
                    };
                    self.calls.turn(turn, moment);
                }
                if !repeats {
                    self.begun(patch, direction, replace, moment);
                }
            }
            // The log has told the end of this transition already.
            EventKind::Try { .. }
            | EventKind::Reversed { .. }
            | EventKind::Forced { .. }
            | EventKind::Cancelled { .. }
                if repeats => {}
            EventKind::Try {
                patch,
                direction,
                before,
            } => {
                if let Some(running) = self.course.running_or_found(patch, direction, moment) {
                    running.seen_at_it = true;
                    running.note_direction(direction);
                    running.note_tries(before, false);
                    running.note_try(at, hooked);
                }
            }
            EventKind::Complete {
                patch,
                direction,
                before,
                epoch,
            } => {
                if let Some(epoch) = epoch {
                    self.calls.turn(Turn::Ended { epoch, direction }, moment);
                }
                if repeats {
                    return;
                }
                if let Some(running) = self.course.running_or_found(patch, direction, moment) {
                    running.note_direction(direction);
                    if !running.turns.cancelled {
                        running.note_tries(before, true);
                    }
                }
                if hooked {
                    self.course.complete(moment, now.since(&moment));
                } else {
                    self.finish(moment);
                }
            }
            EventKind::Reversed { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.reverse(Some(moment));
                }
            }
            EventKind::Forced { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.turns.forced = true;
                }
            }
            EventKind::Cancelled { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.turns.cancelled = true;
                }
            }
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
            past.message = self.take_complaints(at.boot);
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
        let message = self.take_complaints(at.boot);
        // A patch cancelled in mid-way is refused, too: one story, one entry.
        if let Some(last) = self.past.front_mut()
            && last.patch.as_deref() == Some(&patch)
            && last.outcome == Outcome::Cancelled
            && last.errno.is_none()
        {
            last.errno = Some(errno);
            last.message = last.message.take().or(message);
            return;
        }
        let mut past = PastTransition::refused(Some(patch), at.wall, message);
        past.errno = Some(errno);
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
                Some(text),
            )),
        }
    }

    /// What the kernel complained of just before it refused to load a module, and
    /// what was taken for the refusal of a patch before that was known.
    fn take_cause(&mut self, at: Moment) -> Option<String> {
        let is_it = |past: &PastTransition| {
            past.outcome == Outcome::Refused
                && past.patch.is_none()
                && past.errno.is_none()
                && at.wall.duration_since(past.ended_at).unsigned_abs() < CAUSE_LIFE
        };
        if self.past.front().is_some_and(is_it) {
            return self.past.pop_front()?.message;
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

    /// Without a count of tries, the first signal is all the log tells of.
    fn signaling(&mut self) {
        if let Some(running) = self.course.running_mut()
            && running.tries.is_none()
        {
            running.signals = Some(running.signals.unwrap_or(0).max(1));
        }
    }
}
