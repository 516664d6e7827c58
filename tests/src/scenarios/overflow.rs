//! More events than the ring buffer holds while the daemon stands still: it
//! must say that some are lost, and find the true state all the same.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::guest;
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, PATIENT};
use crate::patch::{self, Patch};
use crate::sleeper::Sleeper;
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// Enough to fill the smallest ring buffer, one page, many times over.
const REVERSALS: u32 = 300;

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[&["--ring-buffer", "4096"], PATIENT].concat())?;
    let told = Journal::begin()?;
    // One task asleep in the old code, and one, started once its parent has
    // switched, in the new: neither direction can complete, and the transition
    // can be turned round as often as one likes.
    let old = Sleeper::start()?;
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let new = Sleeper::start()?;
    ensure!(
        tasks::running(Code::Old).len() == 1,
        "the second task is on old code too"
    );

    daemon.running.signal(Signal::SIGSTOP)?;
    for _ in 0..REVERSALS / 2 {
        patch.disable()?;
        patch.enable()?;
    }
    daemon.running.signal(Signal::SIGCONT)?;
    trial.say("turned round, and the daemon goes on");

    guest::wait_until("the daemon shows the loss", || {
        Ok(lpwatch::poll()?.events_lost > 0)
    })?;
    told.expect("", &["events_lost"])?;
    let document = lpwatch::look(&[])?;
    trial.figure("events_lost", document.events_lost);
    let transition = document.transition("lp_sleepers")?;
    ensure!(
        transition.direction == "patching",
        "direction {}",
        transition.direction
    );
    ensure!(
        patch::enabled("lp_sleepers")? == document.patch("lp_sleepers")?.enabled,
        "enabled"
    );

    old.end()?;
    patch.wait_complete()?;
    guest::wait_until("the daemon shows the end", || {
        Ok(lpwatch::poll()?.patch("lp_sleepers")?.transition.is_none())
    })?;
    drop(new);
    patch.remove()?;
    guest::wait_until("the daemon shows that the patch is gone", || {
        Ok(lpwatch::poll()?.patches.is_empty())
    })
}
