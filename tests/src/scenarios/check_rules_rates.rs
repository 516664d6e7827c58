//! `lpwatch check` counts how often functions are called, for as long as it looks
//! and never while a transition is under way.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::calls::{Caller, GCD, WATCH_BOTH};
use crate::guest::{self, Module};
use crate::lpwatch::{Daemon, PATIENT, Running};
use crate::patch::Patch;
use crate::predictions::{Finding, SHORT, check};
use crate::tasks::Code;
use crate::trial::Trial;

const RULE: &str = "risky";

/// It changes `gcd` alone.
const PATCH: &str = "lp_calls_top";

/// Guests are slow: calls that many times a second are many here.
const HOT: &[&str] = &["--hot", "100"];

/// Probes in place.
const PROBES: &str = "/sys/kernel/debug/kprobes/list";

pub fn run(trial: &mut Trial) -> Result<()> {
    let flags = [SHORT, HOT].concat();
    let mut caller = Caller::load()?;
    caller.leave()?;
    check(PATCH, &flags)?.silent(RULE)?;

    let started = Instant::now();
    let calling = caller.without_end();
    let report = check(PATCH, &flags)?;
    let made = calling.end()?;
    let real = per_second(made, started.elapsed());
    let words = [GCD.name, "by this check"];
    let told = told(report.finding(RULE, "warning", &words)?)?;
    trial.figure("called_per_second", real);
    trial.figure("told_per_second", told);
    // They were called for all of that time, but not evenly.
    ensure!(told < real * 5 && real < told * 5, "{told}, and not {real}");

    ensure!(is_counted(&flags)?, "nothing was seen to count");
    ensure!(!has_probe()?, "a counter is left");
    quiet_in_transition(&flags)?;

    let daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    let calling = caller.without_end();
    guest::wait_until("the daemon knows how often it is called", || {
        let rate = GCD.counted(None)?.old_per_second;
        Ok(rate.is_some_and(|rate| rate > 100.0))
    })?;
    let report = check(PATCH, &flags)?;
    calling.end()?;
    let found = report.finding(RULE, "warning", &[GCD.name, "by the daemon"])?;
    trial.say(&found.text);
    daemon.terminate()?;
    caller.unload()
}

/// While another patch is in transition nothing is placed, and that is said.
fn quiet_in_transition(flags: &[&str]) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    let stalled = Patch::load("lp_stall")?;
    stalled.wait_left(Code::Old, 1)?;
    ensure!(!is_counted(flags)?, "it counts in a transition");
    let report = check(PATCH, flags)?;
    report.silent(RULE)?;
    let said = report.notes.iter().any(|note| note.contains("in progress"));
    ensure!(said, "{report:?}");
    stalled.remove()
}

/// Whether a probe was seen while the check ran.
fn is_counted(flags: &[&str]) -> Result<bool> {
    let file = format!("/modules/{PATCH}.ko");
    let mut running = Running::lpwatch(&[&["check", &file], flags].concat())?;
    let mut seen = false;
    while running.child.try_wait()?.is_none() {
        seen |= has_probe()?;
        thread::sleep(Duration::from_millis(20));
    }
    running.end()?.code()?;
    Ok(seen)
}

fn has_probe() -> Result<bool> {
    has_probe_at(GCD.name)
}

/// Whether any kprobe stands in that function.
pub(super) fn has_probe_at(function: &str) -> Result<bool> {
    let list = fs::read_to_string(PROBES).context(PROBES)?;
    let place = format!(" {function}+0x");
    Ok(list.lines().any(|line| line.contains(&place)))
}

/// What a finding says.
fn told(found: &Finding) -> Result<u64> {
    let (before, _) = found
        .text
        .split_once(" times a second")
        .context("no rate")?;
    let number = before.rsplit(' ').next().context("no number")?;
    number.parse().with_context(|| found.text.clone())
}

fn per_second(made: u64, time: Duration) -> u64 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    made * 1000 / milliseconds
}
