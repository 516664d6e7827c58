//! Reports to the service manager (systemd): ready, state, alive, stopping.
//!
//! Without a service manager that listens, nothing is done and nothing wakes
//! up.

use std::{env, sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::{
    model::{Phase, Snapshot},
    observe::Heartbeat,
};

/// The shortest time between two status lines: a transition changes more often
/// than anyone reads.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The beginning of the status line without a transition.
const IDLE: &str = "No transition";

/// Reports that lpwatch follows transitions and answers.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Reports that lpwatch ends as intended.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Reports the state in one line whenever it changes; never returns.
pub(super) async fn follow_status(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let mut last_line = String::new();
    while env::var_os("NOTIFY_SOCKET").is_some() {
        let line = status_line(&snapshots.borrow_and_update());
        if line != last_line {
            tell(&[NotifyState::Status(&line)]);
            last_line = line;
        }
        if snapshots.changed().await.is_err() {
            break;
        }
        if !last_line.starts_with(IDLE) {
            tokio::time::sleep(BETWEEN_LINES).await;
        }
    }
    std::future::pending::<()>().await;
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

fn status_line(snapshot: &Snapshot) -> String {
    let under_way = snapshot
        .patches
        .iter()
        .find_map(|patch| Some((&patch.name, patch.transition.as_ref()?)));
    let Some((patch, transition)) = under_way else {
        let patches = snapshot.patches.len();
        let plural = if patches == 1 { "" } else { "es" };
        return format!("{IDLE}; {patches} patch{plural} loaded");
    };
    let left = match (transition.tasks_remaining, transition.tasks_total) {
        (Some(left), Some(total)) => format!(", {left} of {total} tasks left"),
        (Some(left), None) => format!(", {left} tasks left"),
        (None, _) => String::new(),
    };
    let phase = match transition.phase {
        Some(Phase::Stalled) => ", stalled",
        Some(Phase::Slow) => ", slow",
        Some(Phase::Long) => ", long",
        Some(Phase::Progressing) | None => "",
    };
    let direction = transition.direction.name();
    format!("{direction} {patch}{left}{phase}")
}

/// Reports to the service manager that the loop works: it restarts a daemon
/// that does not report in time. `None` without a watchdog (`WATCHDOG_USEC` is
/// not set).
pub(super) fn watchdog() -> Option<Heartbeat> {
    let within = sd_notify::watchdog_enabled()?;
    Some(Heartbeat::new(every(within), || {
        tell(&[NotifyState::Watchdog]);
    }))
}

/// Half of the given time, as `sd_watchdog_enabled(3)` recommends.
fn every(within: Duration) -> Duration {
    (within / 2).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn the_state_is_one_line() {
        let idle = samples::snapshot(vec![samples::patch("p")]);
        assert_eq!(status_line(&idle), "No transition; 1 patch loaded");
        let progressing = status_line(&samples::progressing());
        assert_eq!(progressing, "patching lp_easy, 57 of 98 tasks left");
        let stalled = status_line(&samples::stalled());
        assert!(stalled.ends_with(" left, stalled"), "{stalled}");
    }

    #[test]
    fn the_loop_says_twice_within_the_time_that_it_works() {
        assert_eq!(every(Duration::from_secs(30)), Duration::from_secs(15));
        assert!(every(Duration::ZERO) > Duration::ZERO, "no busy loop");
    }
}
