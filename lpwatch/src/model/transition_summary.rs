//! A transition under way in a few values: what the documents beside that of
//! `lpwatch status` show of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Direction, Phase, document::optional, snapshot::Transition};

/// A transition under way, without its blockers. The keys are those of
/// [Transition](#transition); unknown values are `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TransitionSummary {
    /// Whether tasks switch to the new code or back.
    pub direction: Direction,
    /// How far it is; `null` if neither its start nor its progress is known.
    pub phase: Option<Phase>,
    /// When it began in this direction.
    #[serde(serialize_with = "optional::milliseconds")]
    pub started_at: Option<Timestamp>,
    /// How long ago it began in this direction, in seconds.
    pub age_seconds: Option<f64>,
    /// How long no task has switched, in seconds: since lpwatch last saw a task switch,
    /// or since the start if none has. `null` if a task may have switched unseen.
    pub seconds_without_progress: Option<f64>,
    /// The number of all tasks.
    pub tasks_total: Option<u32>,
    /// The tasks that have not switched; `null` if the tasks were not inspected, or
    /// not all of them could be read.
    pub tasks_remaining: Option<u32>,
    /// How often the kernel has checked all tasks, in this direction.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left, in this direction.
    pub signals: Option<u32>,
    /// How often the kernel has checked all tasks, in both directions; `null` if not
    /// all of that was counted.
    pub tries_in_all: Option<u32>,
    /// How often the kernel has signalled the tasks left, in both directions; `null`
    /// if not all of that was counted.
    pub signals_in_all: Option<u32>,
    /// Whether an operator reversed it; `null` if that was not observed.
    pub reversed: Option<bool>,
    /// Whether an operator forced it; `null` if that was not observed.
    pub forced: Option<bool>,
}

impl TransitionSummary {
    /// The summary of `transition`.
    #[must_use]
    pub fn of(transition: &Transition) -> Self {
        Self {
            direction: transition.direction,
            phase: transition.phase,
            started_at: transition.started_at,
            age_seconds: transition.age_seconds,
            seconds_without_progress: transition.seconds_without_progress,
            tasks_total: transition.tasks_total,
            tasks_remaining: transition.tasks_remaining,
            tries: transition.tries,
            signals: transition.signals,
            tries_in_all: transition.tries_in_all,
            signals_in_all: transition.signals_in_all,
            reversed: Some(transition.reversed),
            forced: Some(transition.forced),
        }
    }

    /// A transition of which only the direction is known.
    #[must_use]
    pub fn in_direction(direction: Direction) -> Self {
        Self {
            direction,
            phase: None,
            started_at: None,
            age_seconds: None,
            seconds_without_progress: None,
            tasks_total: None,
            tasks_remaining: None,
            tries: None,
            signals: None,
            tries_in_all: None,
            signals_in_all: None,
            reversed: None,
            forced: None,
        }
    }
}
