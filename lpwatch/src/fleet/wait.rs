//! Decides when a wait for a rollout is over.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    str::FromStr,
    time::Duration,
};

use super::{hosts::FleetHost, rollout::ByState};

/// A share of hosts, in percent: above 0 and up to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// The least number of `hosts` that this share is.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "there are no 2^52 hosts")]
        let exact = hosts as f64 * self.0 / 100.0;
        // 99.9 is not exact in binary: 999.0000000000001 of 1000 means 999.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and the number of hosts"
        )]
        let hosts = (exact - 1e-6).ceil() as usize;
        hosts.max(1)
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').parse().ok();
        number
            .filter(|&number: &f64| number > 0.0 && number <= 100.0)
            .map(Self)
            .ok_or_else(|| "not a percentage above 0 and up to 100".to_owned())
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The requested share of hosts is on new code.
    Reached,
    /// So many hosts have failed that the share can no longer be reached.
    Failed,
    /// So many hosts are stalled or failed that the share cannot be reached
    /// while that lasts.
    Stalled,
    /// No host has changed for the allowed time.
    NoChange,
}

/// A wait for a share of hosts.
#[derive(Clone, Debug)]
pub struct RolloutWait {
    percent: Percent,
    /// How long the hosts may stay unchanged.
    stall_after: Option<Duration>,
    /// The state of the hosts as a digest, and since when it is the same.
    last: Option<(u64, Duration)>,
}

impl RolloutWait {
    #[must_use]
    pub fn new(percent: Percent, stall_after: Option<Duration>) -> Self {
        Self {
            percent,
            stall_after,
            last: None,
        }
    }

    /// Returns how the wait ended, if it did. `now` is the time since any fixed
    /// moment; `hosts` are in the order of their names.
    pub fn judge(&mut self, now: Duration, hosts: &[FleetHost]) -> Option<WaitOutcome> {
        let ByState {
            on_new_code,
            stalled,
            failed,
            in_transition: _,
            not_patched: _,
            not_reporting: _,
        } = ByState::of(hosts);
        let needed = self.percent.of(hosts.len());
        let spare = hosts.len().saturating_sub(needed);
        let unchanged = self.unchanged_for(now, hosts);
        if !hosts.is_empty() && on_new_code >= needed {
            Some(WaitOutcome::Reached)
        } else if failed > spare {
            Some(WaitOutcome::Failed)
        } else if failed + stalled > spare {
            Some(WaitOutcome::Stalled)
        } else if self.stall_after.is_some_and(|limit| unchanged >= limit) {
            Some(WaitOutcome::NoChange)
        } else {
            None
        }
    }

    /// Starts the time without a change anew, because nothing was seen for a
    /// while.
    pub fn forget_progress(&mut self) {
        self.last = None;
    }

    /// How long the hosts are unchanged. A task that switches is a change, too.
    fn unchanged_for(&mut self, now: Duration, hosts: &[FleetHost]) -> Duration {
        let mut hasher = DefaultHasher::new();
        for host in hosts {
            (&host.host, host.state, host.tasks_remaining).hash(&mut hasher);
        }
        let look = hasher.finish();
        match self.last {
            Some((last, since)) if last == look => now.saturating_sub(since),
            _ => {
                self.last = Some((look, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{hosts::HostState, rollout::tests::fleet};

    /// How many hosts are in each state.
    type Counts<'a> = &'a [(HostState, usize)];

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    fn judge(text: &str, counts: Counts<'_>) -> Option<WaitOutcome> {
        RolloutWait::new(percent(text), None).judge(Duration::ZERO, &fleet(counts))
    }

    #[test]
    fn a_share_is_rounded_up() {
        for (text, hosts, needed) in [
            ("99.9", 1000, 999),
            ("99.9", 2000, 1998),
            ("99.9", 100_000, 99_900),
            ("99.9", 10, 10),
            ("99", 150, 149),
            ("50%", 3, 2),
            ("100", 7, 7),
            ("0.001", 10, 1),
        ] {
            assert_eq!(percent(text).of(hosts), needed, "{text} of {hosts}");
        }
        for text in ["0", "-1", "100.1", "NaN", "inf", "", "all"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_ends_when_it_is_reached_or_cannot_be() {
        use HostState::{Failed, InTransition, NotReporting, OnNewCode, Stalled};
        let cases: [(Counts<'_>, Option<WaitOutcome>); 9] = [
            (&[], None),
            (
                &[(OnNewCode, 9), (InTransition, 1)],
                Some(WaitOutcome::Reached),
            ),
            (&[(OnNewCode, 9), (Failed, 1)], Some(WaitOutcome::Reached)),
            (&[(OnNewCode, 8), (InTransition, 1), (Failed, 1)], None),
            (&[(OnNewCode, 8), (InTransition, 1), (Stalled, 1)], None),
            (&[(OnNewCode, 8), (Failed, 2)], Some(WaitOutcome::Failed)),
            (
                &[(OnNewCode, 8), (Failed, 1), (Stalled, 1)],
                Some(WaitOutcome::Stalled),
            ),
            (
                &[(InTransition, 8), (Stalled, 2)],
                Some(WaitOutcome::Stalled),
            ),
            // Those that are silent may come back.
            (&[(OnNewCode, 8), (NotReporting, 2)], None),
        ];
        for (counts, end) in cases {
            assert_eq!(judge("90", counts), end, "{counts:?}");
        }
        assert_eq!(judge("100", &[(OnNewCode, 9), (NotReporting, 1)]), None);
    }

    #[test]
    fn a_standstill_ends_it_only_where_that_was_asked_for() {
        let hosts = fleet(&[(HostState::OnNewCode, 1), (HostState::InTransition, 9)]);
        let mut wait = RolloutWait::new(percent("100"), Some(Duration::from_mins(1)));
        let mut at = |seconds, hosts: &[FleetHost]| wait.judge(Duration::from_secs(seconds), hosts);
        assert_eq!(at(0, &hosts), None);
        assert_eq!(at(59, &hosts), None);
        let mut moved = hosts.clone();
        moved[5].tasks_remaining = Some(3);
        assert_eq!(at(60, &moved), None);
        assert_eq!(at(119, &moved), None);
        assert_eq!(at(120, &moved), Some(WaitOutcome::NoChange));
        let mut patient = RolloutWait::new(percent("100"), None);
        assert_eq!(patient.judge(Duration::ZERO, &hosts), None);
        assert_eq!(patient.judge(Duration::from_hours(9), &hosts), None);
    }

    #[test]
    fn what_was_not_seen_is_no_standstill() {
        let hosts = fleet(&[(HostState::InTransition, 9)]);
        let mut wait = RolloutWait::new(percent("100"), Some(Duration::from_mins(1)));
        assert_eq!(wait.judge(Duration::ZERO, &hosts), None);
        wait.forget_progress();
        assert_eq!(wait.judge(Duration::from_secs(100), &hosts), None);
        let end = wait.judge(Duration::from_secs(160), &hosts);
        assert_eq!(end, Some(WaitOutcome::NoChange));
    }
}
