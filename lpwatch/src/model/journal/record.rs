//! A transition that has ended, as the history keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Culprit, Direction, Moment, Outcome, Reason,
    check::ForecastOutcome,
    snapshot::{PastTransition, Patch, PhaseCalls, TrendPoint},
    time::seconds,
};

use super::{Details, Entry, EntryKind, boot_at, news::Draft, words};

/// A transition that has ended, with its course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "HistoryRecord"))]
pub struct Record {
    /// Its number in the history.
    pub id: u64,
    /// The kernel's id of the boot in which it ran; `null` if it could not be read.
    pub boot_id: Option<String>,
    /// When it began, in seconds since boot, time asleep included; `null` if that was
    /// not observed.
    pub started_boot_seconds: Option<f64>,
    /// When it ended, in seconds since boot, time asleep included.
    pub ended_boot_seconds: f64,
    /// Whether no daemon followed it: what is known comes from the kernel log.
    pub reconstructed: bool,
    /// For how long of it the daemon that followed it did not run, in seconds: what tasks
    /// did meanwhile was not seen.
    #[serde(default)]
    pub unwatched_seconds: f64,
    /// Its result.
    pub transition: PastTransition,
    /// Whether the forecast of the last `lpwatch check` came true; `null` if there was
    /// none, or it left the outcome open.
    pub forecast_came_true: Option<bool>,
    /// The tasks left over time, oldest first, at most 240 points. After a reversal they
    /// are the tasks left in the other direction. Empty if lpwatch did not see the
    /// transition under way.
    pub course: Vec<TrendPoint>,
    /// The tasks that were left when lpwatch inspected them, those that stayed longest
    /// first, at most 64. Those that stayed for less than a second are left out if
    /// another stayed for longer.
    pub blockers: Vec<HeldBlocker>,
    /// The calls of its functions that were counted up to the end, at most 256
    /// functions.
    pub functions: Vec<FunctionCalls>,
}

/// A task that had not switched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeldBlocker {
    /// The id of the thread; 0 for all idle tasks.
    pub tid: u32,
    /// The id of its process.
    pub tgid: u32,
    /// Its name; bytes that are not UTF-8 are replaced.
    pub comm: String,
    /// Whether it is a thread of the kernel.
    pub kthread: bool,
    /// The direction in which it had not switched.
    pub direction: Direction,
    /// The last known reason why it had not switched; `null` if the task was not
    /// inspected.
    pub reason: Option<Reason>,
    /// The function that blocked it; `null` if there was none or it is unknown.
    pub function: Option<String>,
    /// The foreign program that made its stack unreliable; `null` if there was none or
    /// it is unknown.
    pub program: Option<Culprit>,
    /// The age of the transition when lpwatch first saw the task left, in seconds since
    /// lpwatch first saw the transition.
    pub first_seconds: f64,
    /// The same when lpwatch last saw the task left.
    pub last_seconds: f64,
    /// The last kernel stack that was read, innermost frame first. Empty if unknown.
    pub stack: Vec<String>,
}

/// The calls of one function up to the end of a transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FunctionCalls {
    /// `vmlinux` (the kernel itself) or the name of a module.
    pub object: String,
    /// Its name in the kernel's symbol table.
    pub name: String,
    /// Which of several symbols with this name in the object, from 1.
    pub sympos: u32,
    /// The calls before the patch; `null` if they were not counted.
    pub before: Option<PhaseCalls>,
    /// The calls during the transitions of the patch; `null` if they were not counted.
    pub during: Option<PhaseCalls>,
    /// The calls while the patch was enabled; `null` if they were not counted.
    pub after: Option<PhaseCalls>,
}

/// What makes two records the same transition.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordKey<'a> {
    pub boot_id: &'a str,
    pub patch: &'a str,
    pub direction: &'static str,
    /// Milliseconds since boot at its start, or at its end if the start is unknown.
    pub boot_ms: i64,
}

impl Record {
    /// The record of `past`; `now` relates its times to the boot clock.
    pub(super) fn of(past: &PastTransition, boot_id: Option<String>, now: &Moment) -> Self {
        let ended = seconds(boot_at(now, past.ended_at));
        let started = past.duration_seconds.map(|duration| {
            // Never below 0: it began after the boot.
            (ended - duration).max(0.0)
        });
        Self {
            id: 0,
            boot_id,
            started_boot_seconds: started,
            ended_boot_seconds: ended,
            reconstructed: false,
            unwatched_seconds: 0.0,
            forecast_came_true: forecast(past),
            transition: past.clone(),
            course: Vec::new(),
            blockers: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Marks that no daemon followed it.
    pub(super) fn reconstructed(mut self) -> Self {
        self.reconstructed = true;
        self
    }

    /// What identifies the transition.
    #[must_use]
    pub fn key(&self) -> RecordKey<'_> {
        let at = self.started_boot_seconds.unwrap_or(self.ended_boot_seconds);
        RecordKey {
            boot_id: self.boot_id.as_deref().unwrap_or_default(),
            patch: self.transition.patch.as_deref().unwrap_or_default(),
            direction: self.transition.direction.map_or("", |one| one.name()),
            boot_ms: to_milliseconds(at),
        }
    }

    /// Milliseconds since boot at its end.
    #[must_use]
    pub fn ended_boot_ms(&self) -> i64 {
        to_milliseconds(self.ended_boot_seconds)
    }

    /// The entry about its end.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let draft = self.draft();
        let at = self.transition.ended_at;
        let mut entry = draft.entry(
            self.boot_id.clone(),
            &Moment {
                boot: std::time::Duration::ZERO,
                wall: at,
            },
        );
        entry.boot_seconds = self.ended_boot_seconds;
        entry
    }

    pub(super) fn draft(&self) -> Draft {
        let past = &self.transition;
        let kind = match past.outcome {
            Outcome::Refused | Outcome::Cancelled => EntryKind::PatchRefused,
            _ => EntryKind::TransitionEnded,
        };
        let mut message = words::end(past);
        if self.reconstructed {
            message.push_str(" No daemon followed it: the kernel log reports it.");
        }
        let mut draft = Draft::new(kind, message).at(Some(past.ended_at));
        draft.patch.clone_from(&past.patch);
        if !past.outcome.is_success() {
            draft = draft.warning();
        }
        draft.with(Details {
            engine: past.engine,
            direction: past.direction,
            outcome: Some(past.outcome),
            seconds: past.duration_seconds,
            tasks_total: past.tasks_total,
            tries: past.tries_in_all,
            signals: past.signals_in_all,
            errno: past.refusal.as_ref().and_then(|refusal| refusal.errno),
            cause: past
                .refusal
                .as_ref()
                .and_then(|refusal| refusal.cause.clone()),
            stopped_ms: past
                .stopped
                .as_ref()
                .filter(|stopped| stopped.times > 0)
                .map(|stopped| stopped.total_ms),
            ..Details::default()
        })
    }

    /// When it began, or when it ended if that is unknown.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        let past = &self.transition;
        past.started_at.unwrap_or(past.ended_at)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds since boot are far below 2^53"
)]
fn to_milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

/// Whether the forecast of the check came true.
fn forecast(past: &PastTransition) -> Option<bool> {
    let check = past.check.as_ref()?;
    let was_signalled = past.signals_in_all.map(|signals| signals > 0);
    let completed = past.outcome == Outcome::Completed;
    match check.outcome {
        ForecastOutcome::Refused => Some(matches!(
            past.outcome,
            Outcome::Refused | Outcome::Cancelled
        )),
        ForecastOutcome::Completes if completed => was_signalled.map(|signalled| !signalled),
        ForecastOutcome::AfterSignal if completed => was_signalled,
        ForecastOutcome::Completes | ForecastOutcome::AfterSignal => Some(false),
        ForecastOutcome::Stalls => Some(!completed),
        ForecastOutcome::Open | ForecastOutcome::Loaded | ForecastOutcome::NotKnown => None,
    }
}

/// The number of functions that a record keeps.
const FUNCTIONS: usize = 256;

/// The calls of the functions of `patch`.
pub(super) fn functions(patch: &Patch) -> Vec<FunctionCalls> {
    let of_object = |object: &crate::model::snapshot::Object| {
        let name = object.name.clone();
        let counted = object.functions.iter().filter_map(move |function| {
            let calls = function.calls.as_ref()?;
            Some(FunctionCalls {
                object: name.clone(),
                name: function.name.clone(),
                sympos: function.sympos,
                before: calls.before.clone(),
                during: calls.during.clone(),
                after: calls.after.clone(),
            })
        });
        counted.collect::<Vec<_>>()
    };
    let all = patch.objects.iter().flat_map(of_object);
    all.take(FUNCTIONS).collect()
}
