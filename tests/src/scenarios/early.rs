//! A patch that is loaded while a daemon attaches its hooks: hooks, log and sysfs
//! can all report it, and it is one transition.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guest;
use crate::lpwatch::{self, Running};
use crate::patch::Patch;
use crate::scrape::Scrape;
use crate::trial::Trial;

/// No other scenario about daemons loads it: the log keeps what they did.
const PATCH: &str = "lp_states";

/// How long after the start of the daemon the patch is loaded: a guest attaches all
/// hooks within seconds.
const AFTER_MS: [u64; 4] = [300, 900, 1500, 2400];

pub fn run(trial: &mut Trial) -> Result<()> {
    for after in AFTER_MS {
        let daemon = Running::lpwatch(&["daemon"])?;
        thread::sleep(Duration::from_millis(after));
        let patch = Patch::load_completely(PATCH)?;
        let mut answered_before = false;
        let document = guest::wait_for("it has its hooks and the transition", || {
            let Ok(document) = lpwatch::poll() else {
                return Ok(None);
            };
            let attaching = lpwatch::is_attaching(&document);
            answered_before |= attaching;
            let told = !attaching && document.last(PATCH).is_some();
            Ok(told.then_some(document))
        })?;
        let own = document.last_transitions.iter();
        let since_start = own.filter(|past| past.patch.as_deref() == Some(PATCH));
        let patching = since_start.filter(|past| past.direction.as_deref() == Some("patching"));
        // The log still has those of the turns before.
        let turn = AFTER_MS.iter().position(|other| *other == after);
        let expected = 1 + turn.context("no such turn")?;
        let found = patching.count();
        trial.say(&format!(
            "after {after} ms: {found} entries; answered before its hooks: {answered_before}"
        ));
        ensure!(found == expected, "{:?}", document.last_transitions);
        let scrape = Scrape::now()?;
        let total = "lpwatch_transitions_total{direction=\"patching\",outcome=\"completed\"}";
        let counted = scrape.find(total).context("no total")?;
        ensure!(
            counted <= f64::from(u32::try_from(expected)?),
            "{counted} counted"
        );
        patch.remove()?;
        daemon.signal(nix::sys::signal::Signal::SIGTERM)?;
        daemon.end()?;
    }
    Ok(())
}
