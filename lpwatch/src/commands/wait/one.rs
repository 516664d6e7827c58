//! The wait for one patch.

mod effect;

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{
    error::Error,
    exit::Exit,
    model::{
        Direction, Outcome, Phase, Refusal, Snapshot,
        snapshot::{PastTransition, Patch, Transition},
    },
    render,
};

use super::{
    Goal, numbers,
    report::{
        WaitReport, by_age, explains_absence, in_transition, is_past, left, reads_log, report,
        state, unfinished, word,
    },
};
use crate::commands::{
    output::Printer,
    status::{LIST, module_name, why_gone},
};

/// A transition that ended this long before was meant by a `wait` that came too late.
const JUST_ENDED: SignedDuration = SignedDuration::from_secs(30);

/// What all waits of a command have in common.
pub(super) struct Wanted<'a> {
    pub output: &'a Printer,
    pub goal: Goal,
    /// Whether a stall ends the wait.
    pub ends_at_stall: bool,
    /// Whether the patch may still appear (`--or-appear`).
    pub may_appear: bool,
    pub progress: ProgressBar,
}

/// The wait for the transition of one patch.
pub(super) struct TransitionWait<'a> {
    what: &'a Wanted<'a>,
    asked: Option<&'a str>,
    /// The patch, once its transition was seen.
    patch: Option<String>,
    latest: Option<Arc<Snapshot>>,
    /// Whether the patch may still appear.
    may_appear: bool,
    /// The transitions that had ended at the first look. Times do not tell: those of the
    /// kernel log come from another clock.
    before: Option<Vec<PastTransition>>,
    /// The direction and the tasks left when the transition was first seen.
    first_left: Option<(Direction, u32)>,
    /// With `--for effective`: the transition that completed.
    completed: Option<Completed>,
}

/// A transition that has completed, and whose new code has not been seen to run.
struct Completed {
    report: WaitReport,
    seen_at: Instant,
}

impl<'a> TransitionWait<'a> {
    pub fn new(asked: Option<&'a str>, what: &'a Wanted<'a>) -> Self {
        Self {
            what,
            asked,
            patch: None,
            latest: None,
            may_appear: what.may_appear,
            before: None,
            first_left: None,
            completed: None,
        }
    }

    /// The time in which the patch had to appear has passed: the report if it has not.
    pub fn give_up_appearance(&mut self, after: Duration) -> Option<WaitReport> {
        let awaited = std::mem::take(&mut self.may_appear);
        let is_missing = match &self.latest {
            Some(latest) => awaited && self.patch.is_none() && self.has_to_appear_in(latest),
            None => awaited,
        };
        is_missing.then(|| self.did_not_appear(after))
    }

    fn did_not_appear(&self, after: Duration) -> WaitReport {
        let line = match self.asked {
            Some(asked) => {
                let name = self.what.output.style.text(asked);
                format!("{name}: not loaded after {after:?}.")
            }
            None => format!("Nothing was in transition for {after:?}."),
        };
        let patch = self.asked.map(str::to_owned);
        report(patch, Exit::TimedOut, "timed_out", None, || line)
    }

    /// Whether the patch, or any transition, is still to come.
    fn has_to_appear(&self, snapshot: &Snapshot) -> bool {
        self.may_appear && self.has_to_appear_in(snapshot)
    }

    fn has_to_appear_in(&self, snapshot: &Snapshot) -> bool {
        let name = self.asked.map(|asked| module_name(snapshot, asked));
        let is_there = match &name {
            Some(name) => snapshot.patch(name).is_some(),
            None => !in_transition(snapshot).is_empty(),
        };
        let has_ended = snapshot.last_transitions.iter().any(|past| {
            let is_meant = name.is_none() || past.patch == name;
            is_meant && !self.is_known(past)
        });
        !is_there && !has_ended
    }

    /// Whether this transition had ended before the first look.
    fn is_known(&self, past: &PastTransition) -> bool {
        // A hook's report replaces that of the log.
        const SAME: SignedDuration = SignedDuration::from_secs(2);
        let mut known = self.before.iter().flatten();
        known.any(|known| {
            (&known.patch, known.outcome) == (&past.patch, past.outcome)
                && known.ended_at.duration_since(past.ended_at).abs() < SAME
        })
    }

    /// Whether this transition ended before the wait began for what was still to come.
    fn does_not_count(&self, past: &PastTransition) -> bool {
        self.what.may_appear && past.outcome.is_success() && self.is_known(past)
    }

    /// Whether this state leaves open what is waited for, because the tasks left are
    /// not known.
    pub fn is_blind(&self, snapshot: &Snapshot) -> bool {
        let name = self.patch.as_deref();
        let patch = name.and_then(|name| snapshot.patch(name));
        let transition = patch.and_then(|patch| patch.transition.as_ref());
        let needs_tasks = self.what.ends_at_stall || self.what.goal == Goal::Progress;
        needs_tasks && transition.is_some_and(|transition| transition.tasks_remaining.is_none())
    }

    /// Whether a task has switched since the first look, with `--for progress`.
    fn has_progressed(&mut self, transition: &Transition) -> bool {
        let Some(left) = transition.tasks_remaining else {
            return false;
        };
        let now = (transition.direction, left);
        let first = match self.first_left {
            Some(first) if first.0 == now.0 => first,
            // It was reversed: the tasks switch back.
            _ => now,
        };
        self.first_left = Some(first);
        self.what.goal == Goal::Progress && left < first.1
    }

    /// The report, if the wait is over.
    pub fn judge(&mut self, snapshot: &Arc<Snapshot>) -> anyhow::Result<Option<WaitReport>> {
        self.latest = Some(snapshot.clone());
        let known = || snapshot.last_transitions.clone();
        self.before.get_or_insert_with(known);
        if let Some(completed) = self.completed.take() {
            return Ok(self.judge_effect(snapshot, completed));
        }
        Ok(match self.judge_transition(snapshot)? {
            Some(report) if self.what.goal == Goal::Effective && report.exit == Exit::Success => {
                let seen_at = Instant::now();
                self.judge_effect(snapshot, Completed { report, seen_at })
            }
            over => over,
        })
    }

    /// The report, if the transition has ended, or has come as far as is waited for.
    fn judge_transition(&mut self, snapshot: &Snapshot) -> anyhow::Result<Option<WaitReport>> {
        let first = self.patch.is_none();
        if first && self.has_to_appear(snapshot) {
            return Ok(None);
        }
        let Some(patch) = self.target(snapshot) else {
            return Ok(Some(self.came_too_late(snapshot)));
        };
        let loaded = snapshot.patch(&patch);
        if let Some(transition) = loaded.and_then(|loaded| loaded.transition.as_ref()) {
            self.show(&patch, transition);
            self.patch = Some(patch.clone());
            let report = if self.has_progressed(transition) {
                self.progressed(patch.clone(), transition)
            } else if self.what.ends_at_stall && transition.phase == Some(Phase::Stalled) {
                self.stalled(patch.clone(), transition)
            } else {
                return Ok(None);
            };
            return Ok(Some(WaitReport {
                unfinished: unfinished(snapshot, &patch),
                ..report
            }));
        }
        let report = match (snapshot.last_transition(&patch), loaded) {
            // Something else has happened since that transition.
            (Some(past), Some(loaded))
                if first && (is_past(past, loaded) || self.does_not_count(past)) =>
            {
                self.not_in_transition(patch, loaded)
            }
            (Some(past), None) if first && self.is_known(past) && !explains_absence(past) => {
                return Err(self.not_loaded(patch, snapshot).into());
            }
            (Some(past), _) => self.ended(past),
            (None, Some(loaded)) if loaded.was_refused() => {
                self.refused(patch, loaded.refusal.as_ref())
            }
            (None, Some(loaded)) => self.not_in_transition(patch, loaded),
            (None, None) if first => return Err(self.not_loaded(patch, snapshot).into()),
            (None, None) => self.gone(patch),
        };
        Ok(Some(if first {
            self.beside_others(report, loaded, snapshot)
        } else {
            report
        }))
    }

    /// Nothing is in transition: reports what ended just now, if anything did.
    fn came_too_late(&self, snapshot: &Snapshot) -> WaitReport {
        let newest = snapshot.last_transitions.first();
        let is_recent = |past: &&PastTransition| {
            snapshot.head.taken_at.duration_since(past.ended_at).abs() <= JUST_ENDED
        };
        match newest.filter(is_recent) {
            Some(past) => self.ended(past),
            None => report(None, Exit::Success, "nothing", None, || {
                let unknown = if reads_log(snapshot) {
                    ""
                } else {
                    " Whether a transition has just ended is unknown, because the kernel log \
                     cannot be read."
                };
                format!("Nothing is in transition.{unknown}")
            }),
        }
    }

    /// Adds the patch's own state, and the patches that are in transition instead.
    fn beside_others(
        &self,
        mut report: WaitReport,
        loaded: Option<&Patch>,
        snapshot: &Snapshot,
    ) -> WaitReport {
        let others = in_transition(snapshot);
        if !others.is_empty() {
            let line = report.line.trim_end_matches('.');
            // The line about one that is not in transition begins with its state.
            let state = match (loaded, &report.ended) {
                (_, None) => String::new(),
                (Some(loaded), Some(_)) => format!("; now {}", state(loaded)),
                (None, Some(_)) => "; now not loaded".to_owned(),
            };
            report.line = format!("{line}{state}; {}.", self.are_in_transition(&others));
        }
        report.enabled = loaded.and_then(|loaded| loaded.enabled);
        report.also_in_transition = others;
        report
    }

    /// `lp_a is in transition`, `lp_a, lp_b are in transition`
    fn are_in_transition(&self, names: &[String]) -> String {
        let style = &self.what.output.style;
        let shown: Vec<String> = names.iter().map(|name| style.text(name)).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        format!("{} {verb} in transition", shown.join(", "))
    }

    fn not_loaded(&self, name: String, snapshot: &Snapshot) -> Error {
        let others = in_transition(snapshot);
        let why = why_gone(snapshot, &name);
        let hint = if others.is_empty() {
            format!("{why}{LIST}")
        } else {
            format!("{why}; {}{LIST}", self.are_in_transition(&others))
        };
        Error::NoSuchPatch { name, hint }
    }

    /// The patch given, or the one in transition.
    fn target(&self, snapshot: &Snapshot) -> Option<String> {
        if let Some(patch) = &self.patch {
            return Some(patch.clone());
        }
        match self.asked {
            Some(asked) => Some(module_name(snapshot, asked)),
            None => snapshot
                .patches
                .iter()
                .find(|patch| patch.transition.is_some())
                .map(|patch| patch.name.clone()),
        }
    }

    fn show(&self, patch: &str, transition: &Transition) {
        if let (Some(total), Some(left)) = (transition.tasks_total, transition.tasks_remaining) {
            self.what.progress.set_style(numbers());
            self.what.progress.set_length(total.into());
            self.what
                .progress
                .set_position(total.saturating_sub(left).into());
        }
        let phase = transition
            .phase
            .map(|phase| format!(", {}", word(phase)))
            .unwrap_or_default();
        let patch = self.what.output.style.text(patch);
        self.what
            .progress
            .set_message(format!("{patch}: {}{phase}", transition.direction.name()));
    }

    fn ended(&self, past: &PastTransition) -> WaitReport {
        let exit = if past.outcome.is_success() {
            Exit::Success
        } else {
            Exit::Failed
        };
        report(
            past.patch.clone(),
            exit,
            past.outcome.name(),
            Some(past.clone()),
            || render::outcome::past(past, &self.what.output.style),
        )
    }

    fn not_in_transition(&self, patch: String, loaded: &Patch) -> WaitReport {
        let name = self.what.output.style.text(&patch);
        let line = format!("{name}: {}, not in transition.", state(loaded));
        report(Some(patch), Exit::Success, "nothing", None, || line)
    }

    /// Its engine reports that it refused the patch, at an unknown time.
    fn refused(&self, patch: String, why: Option<&Refusal>) -> WaitReport {
        let style = &self.what.output.style;
        let why = why.and_then(Refusal::text);
        let why = why.map_or(String::new(), |why| format!(": {}", style.text(&why)));
        let line = format!("{}: refused{why}.", style.text(&patch));
        let result = Outcome::Refused.name();
        report(Some(patch), Exit::Failed, result, None, || line)
    }

    /// The patch is no longer loaded, and the end was not observed.
    fn gone(&self, patch: String) -> WaitReport {
        let line = format!(
            "{}: no longer loaded; the outcome of its transition is unknown.",
            self.what.output.style.text(&patch)
        );
        report(Some(patch), Exit::Failed, "unknown", None, || line)
    }

    fn stalled(&self, patch: String, transition: &Transition) -> WaitReport {
        let line = format!(
            "{}: stalled while {}{}{}.",
            self.what.output.style.text(&patch),
            transition.direction.name(),
            left(transition, &self.what.output.style),
            by_age(transition),
        );
        report(Some(patch), Exit::Stalled, "stalled", None, || line)
    }

    fn progressed(&self, patch: String, transition: &Transition) -> WaitReport {
        let line = format!(
            "{}: progresses while {}{}.",
            self.what.output.style.text(&patch),
            transition.direction.name(),
            left(transition, &self.what.output.style),
        );
        report(Some(patch), Exit::Success, "progress", None, || line)
    }

    pub fn timed_out(&mut self, timeout: Duration) -> WaitReport {
        if let Some(report) = self.give_up_appearance(timeout) {
            return report;
        }
        if let Some(completed) = &self.completed {
            return self.not_called(completed, timeout);
        }
        let patch = self.patch.clone();
        let transition = self
            .latest
            .as_deref()
            .zip(patch.as_deref())
            .and_then(|(snapshot, name)| snapshot.patch(name)?.transition.as_ref());
        let name = patch.as_deref().or(self.asked).unwrap_or("The transition");
        let style = &self.what.output.style;
        let name = style.text(name);
        let line = match transition {
            Some(transition) => format!(
                "{name}: still {} after {timeout:?}{}.",
                transition.direction.name(),
                left(transition, style),
            ),
            None => format!("{name}: its state could not be read within {timeout:?}."),
        };
        let goes_on = self
            .latest
            .as_deref()
            .zip(patch.as_deref())
            .and_then(|(snapshot, name)| unfinished(snapshot, name));
        let mut report = report(patch, Exit::TimedOut, "timed_out", None, || line);
        report.unfinished = goes_on;
        report
    }
}
