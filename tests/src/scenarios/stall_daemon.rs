//! A stall as the daemon tells it from its beginning to its reversal.

use anyhow::{Context, Result, ensure};

use super::stall::check_blocker;
use crate::guest::{self, Module};
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::tasks::{self, Code};
use crate::trial::Trial;

const IMPATIENT: &[&str] = &[
    "--slow-after",
    "6s",
    "--stall-after",
    "12s",
    "--long-after",
    "9s",
];

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(IMPATIENT)?;
    let told = Journal::begin()?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;

    let mut phases: Vec<String> = Vec::new();
    guest::wait_until("the daemon calls the transition stalled", || {
        let document = lpwatch::poll()?;
        let phase = document.transition("lp_stall")?.phase()?.to_owned();
        // It can be over before a slow guest has looked.
        if phase != "long" && phases.last() != Some(&phase) {
            trial.say(&phase);
            same_code()?;
            phases.push(phase);
        }
        Ok(phases.last().is_some_and(|last| last == "stalled"))
    })?;
    ensure!(
        phases == ["progressing", "slow", "stalled"],
        "phases: {phases:?}"
    );

    let in_order = ["transition_slow", "transition_long", "transition_stalled"];
    told.expect("lp_stall", &in_order)?;

    let left = tasks::running(Code::Old);
    let document = lpwatch::look(&[])?;
    ensure!(document.daemon && document.source == "bpf", "{document:?}");
    let transition = document.transition("lp_stall")?;
    check_blocker(transition)?;
    ensure!(
        transition.tids() == left,
        "{:?}, not {left:?}",
        transition.tids()
    );
    ensure!(
        transition.tries.is_some_and(|tries| tries > 1),
        "{transition:?}"
    );

    trial.figure("tries", transition.tries.unwrap_or_default());
    trial.figure("signals", transition.signals.unwrap_or_default());
    ensure!(
        transition.tries_in_all == transition.tries && transition.signals_in_all.is_some(),
        "{transition:?}"
    );
    let tries = transition.tries.unwrap_or_default();
    let age = transition.age_seconds.context("no age")?;
    ensure!(age >= 12.0, "stalled after {age} s, before it could be");

    stall.disable()?;
    stall.wait_gone()?;
    guest::wait_until("the daemon records the reversal", || {
        let document = lpwatch::poll()?;
        Ok(document
            .last("lp_stall")
            .is_some_and(|past| past.outcome == "reversed"))
    })?;
    let document = lpwatch::look(&[])?;
    let past = document.last("lp_stall").context("no record")?;
    let after = past.tries.context("no tries")?;
    ensure!(
        past.tries_in_all.is_some_and(|all| all >= tries + after)
            && past.signals_in_all >= past.signals,
        "{tries} tries before the reversal: {past:?}"
    );
    let line = lpwatch::run(&[&["wait", "lp_stall"]])?;
    let line = line.expect(&[code::REVERSED])?.text();
    ensure!(
        line.contains(" before the reversal and "),
        "the tries of which direction? {line}"
    );
    trial.say(line.trim());
    // The patch is gone, but the daemon remembers how it went.
    lpwatch::run(&[&["status", "lp_stall"]])?.expect(&[code::REVERSED])?;
    lpwatch::run(&[&["status"]])?.expect(&[code::WELL])?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// The command's exit code is that of the phase it shows.
fn same_code() -> Result<()> {
    let ended = lpwatch::run(&[&["status", "-o", "json"]])?;
    let document = ended.document()?;
    let is_stalled = document.transition("lp_stall")?.phase()? == "stalled";
    ended.expect(&[if is_stalled {
        code::STALLED
    } else {
        code::IN_TRANSITION
    }])?;
    Ok(())
}
