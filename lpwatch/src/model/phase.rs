//! The phase of a transition.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The phase of a transition. `--slow-after`, `--stall-after` and `--long-after` set
/// other times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It began less than 15 s ago.
    Progressing,
    /// It is 15 s old; the kernel now signals the tasks left, every 15 s.
    Slow,
    /// It is an hour old, and tasks still switch.
    Long,
    /// No task has switched for 60 s.
    Stalled,
}

/// When a transition is slow, stalled or long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Thresholds {
    /// By age: the kernel's first signal comes at 15 s.
    #[serde(rename = "slow_seconds", with = "in_seconds")]
    #[cfg_attr(test, schemars(with = "f64"))]
    pub slow: Duration,
    /// Without a task switching.
    #[serde(rename = "stalled_seconds", with = "in_seconds")]
    #[cfg_attr(test, schemars(with = "f64"))]
    pub stalled: Duration,
    /// By age.
    #[serde(rename = "long_seconds", with = "in_seconds")]
    #[cfg_attr(test, schemars(with = "f64"))]
    pub long: Duration,
}

/// A duration in seconds.
mod in_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            slow: Duration::from_secs(15),
            stalled: Duration::from_mins(1),
            long: Duration::from_hours(1),
        }
    }
}

impl Thresholds {
    /// The phase of a transition of this age in which no task has switched for
    /// `idle`; `None` if it could be another one, for lack of a known age. If progress was not observed, the age replaces it: then it is known
    /// only that the transition has not ended.
    #[must_use]
    pub fn phase(&self, age: Option<Duration>, idle: Option<Duration>) -> Option<Phase> {
        let unchanged_for = idle.or(age)?;
        if unchanged_for >= self.stalled {
            return Some(Phase::Stalled);
        }
        let age = age?;
        Some(if age >= self.long {
            Phase::Long
        } else if age >= self.slow {
            Phase::Slow
        } else {
            Phase::Progressing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(age: Option<u64>, idle: Option<u64>) -> Option<Phase> {
        Thresholds::default().phase(age.map(Duration::from_secs), idle.map(Duration::from_secs))
    }

    #[test]
    fn age_alone_decides_without_observed_progress() {
        assert_eq!(phase(None, None), None);
        assert_eq!(phase(Some(0), None), Some(Phase::Progressing));
        assert_eq!(phase(Some(15), None), Some(Phase::Slow));
        assert_eq!(phase(Some(60), None), Some(Phase::Stalled));
        assert_eq!(phase(Some(7200), None), Some(Phase::Stalled));
    }

    #[test]
    fn progress_keeps_a_transition_from_stalling() {
        assert_eq!(phase(Some(59), Some(1)), Some(Phase::Slow));
        assert_eq!(phase(Some(600), Some(59)), Some(Phase::Slow));
        assert_eq!(phase(Some(600), Some(60)), Some(Phase::Stalled));
        assert_eq!(phase(Some(3600), Some(1)), Some(Phase::Long));
        assert_eq!(phase(Some(3600), Some(61)), Some(Phase::Stalled));
    }

    #[test]
    fn without_a_known_start_only_a_stall_is_known() {
        assert_eq!(phase(None, Some(3)), None);
        assert_eq!(phase(None, Some(61)), Some(Phase::Stalled));
    }
}
