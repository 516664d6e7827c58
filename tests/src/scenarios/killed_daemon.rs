//! A daemon killed in mid-transition: the transition goes on undisturbed, and
//! the next daemon knows of it all the same.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;

use super::stall::check_blocker;
use crate::guest::Module;
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, PATIENT, SOCKET};
use crate::patch::{self, Patch};
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// The kernel log counts from the boot by another clock than the wall's.
const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_secs(3);

pub fn run(trial: &mut Trial) -> Result<()> {
    let first = Daemon::start(PATIENT)?;
    let _target = Module::load("lpwatch_target")?;
    let before = Timestamp::now();
    let stall = Patch::load("lp_stall")?;
    let after = Timestamp::now();
    let left = stall.wait_left(Code::Old, 1)?;

    let told = Journal::begin()?;
    first.kill()?;
    ensure!(
        Path::new(SOCKET).exists(),
        "a killed daemon should leave its socket"
    );
    ensure!(
        patch::transition("lp_stall")? == Some(true),
        "the transition ended"
    );
    ensure!(
        tasks::running(Code::Old) == left,
        "other tasks are left now"
    );

    let starting = Instant::now();
    let second = Daemon::start(PATIENT)?;
    let ready = Instant::now();
    let document = lpwatch::look(&[])?;
    trial.figure("start_to_ready_ms", (ready - starting).as_millis());
    trial.figure("ready_to_told_ms", ready.elapsed().as_millis());
    ensure!(document.daemon, "the second daemon was not asked");
    let transition = document.transition("lp_stall")?;
    check_blocker(transition)?;
    ensure!(
        transition.tids() == left,
        "{:?}, not {left:?}",
        transition.tids()
    );
    let started: Timestamp = transition
        .started_at
        .as_ref()
        .context("the start stands in the kernel log, but is not told")?
        .parse()?;
    ensure!(
        started > before - CLOCKS_DIFFER_BY && started < after + CLOCKS_DIFFER_BY,
        "started at {started}, not between {before} and {after}"
    );

    told.expect("lp_stall", &["transition_found"])?;
    let third = at_once(trial, second)?;
    stall.disable()?;
    stall.wait_gone()?;
    drop(third);
    Ok(())
}

/// The next daemon starts while the kernel still detaches the hooks of the killed one:
/// it waits for that.
fn at_once(trial: &mut Trial, killed: Daemon) -> Result<Daemon> {
    killed.running.signal(Signal::SIGKILL)?;
    let starting = Instant::now();
    let next = Daemon::start(PATIENT)?;
    trial.figure("killed_to_ready_ms", starting.elapsed().as_millis());
    let log = next.running.stderr()?;
    let waited = log.matches("is ending; waiting").count();
    trial.figure("waited", waited);
    ensure!(waited <= 1, "said more than once: {log}");
    killed.running.end()?;
    let document = lpwatch::look(&[])?;
    ensure!(document.daemon, "the next daemon was not asked");
    check_blocker(document.transition("lp_stall")?)?;
    Ok(next)
}
