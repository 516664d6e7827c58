//! User tasks asleep in the function that is patched, or in its replacement.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::contract::Transition;
use crate::guest;
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

const SLEEPERS: usize = 3;

/// The daemon finds the transition stalled before the kernel signals the tasks.
const IMPATIENT: &[&str] = &["--slow-after", "2s", "--stall-after", "4s"];

/// The transition waits for them until the kernel itself, some fifteen rounds
/// on, signals them; they then sleep on in the new code.
pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(PATIENT)?;
    let told = Journal::begin()?;
    let sleepers = start_all()?;
    let patch = Patch::load("lp_sleepers")?;
    let left = patch.wait_left(Code::Old, SLEEPERS)?;
    ensure!(left == pids(&sleepers)?, "others are left: {left:?}");
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
        check(document.transition("lp_sleepers")?, "patching", &left)?;
    }
    trial.say("waiting for the kernel's signal");

    let document = daemon.wait_outcome("lp_sleepers", "patching", "completed")?;
    let past = document.last("lp_sleepers").context("no last transition")?;
    ensure!(past.signals.is_some_and(|signals| signals >= 1), "{past:?}");
    ensure!(past.tries.is_some_and(|tries| tries >= 15), "{past:?}");
    told.expect("lp_sleepers", &["tasks_signalled", "tasks_switched"])?;
    trial.figure("tries", past.tries.unwrap_or_default());
    trial.figure("signals", past.signals.unwrap_or_default());

    for sleeper in &sleepers {
        sleeper.wait_asleep()?;
        sleeper_ends_nothing(sleeper)?;
    }
    drop(sleepers);
    patch.remove()
}

/// The other way round: they sleep in the new function, which is to go.
pub fn unpatching(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(IMPATIENT)?;
    let told = Journal::begin()?;
    let patch = Patch::load_completely("lp_sleepers")?;
    daemon.wait_outcome("lp_sleepers", "patching", "completed")?;
    let mut sleepers = start_all()?;
    patch.disable()?;
    let left = patch.wait_left(Code::New, SLEEPERS)?;
    ensure!(left == pids(&sleepers)?, "others are left: {left:?}");
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
        ensure!(
            document.patch("lp_sleepers")?.enabled == Some(false),
            "{document:?}"
        );
        check(document.transition("lp_sleepers")?, "unpatching", &left)?;
    }
    told.expect("lp_sleepers", &["transition_stalled"])?;
    trial.say("they wake up and leave");
    sleepers.pop().context("none")?.end()?;
    told.expect("lp_sleepers", &["transition_resumed"])?;
    drop(sleepers);
    patch.wait_gone()?;
    daemon.wait_outcome("lp_sleepers", "unpatching", "completed")?;
    patch.remove()
}

fn start_all() -> Result<Vec<Sleeper>> {
    (0..SLEEPERS).map(|_| Sleeper::start()).collect()
}

fn pids(sleepers: &[Sleeper]) -> Result<BTreeSet<i32>> {
    sleepers.iter().map(Sleeper::pid).collect()
}

fn check(transition: &Transition, direction: &str, left: &BTreeSet<i32>) -> Result<()> {
    ensure!(
        transition.direction == direction,
        "direction {}",
        transition.direction
    );
    ensure!(
        transition.tasks_remaining == Some(left.len()),
        "{transition:?}"
    );
    ensure!(
        &transition.tids() == left,
        "{:?}, not {left:?}",
        transition.tids()
    );
    ensure!(
        transition.blockers.iter().all(|blocker| !blocker.kthread),
        "{transition:?}"
    );
    Ok(())
}

/// A livepatch and its signal are nothing that a sleeping program may notice.
fn sleeper_ends_nothing(sleeper: &Sleeper) -> Result<()> {
    let path = format!("/proc/{}/stack", sleeper.pid()?);
    guest::wait_until("the task sleeps in the new code", || {
        let stack = std::fs::read_to_string(&path).context("the task has ended")?;
        Ok(stack.contains("lp_sleepers_pause"))
    })
}
