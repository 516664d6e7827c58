//! Do no harm: transitions with lpwatch attached go as they go without it.
//!
//! Transitions without and with a daemon take turns, half of them with a task
//! asleep in the function that foreign tracing is known to spoil. The kernel's
//! own words say how many tries each took and which stacks it could not rely
//! on. Durations are printed only.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check_rules_rates::has_probe_at;
use crate::actor::Actor;
use crate::bench::told::{self, HELD, STALLED, Told, middle};
use crate::guest;
use crate::lpwatch::{ALONE, Daemon, Running, code};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::tasks;
use crate::trial::Trial;

const TURNS: u64 = 6;
const PATCH: &str = "lp_cmdline";
/// What it changes.
const FUNCTION: &str = "cmdline_proc_show";

pub fn run(trial: &mut Trial) -> Result<()> {
    let mut oracle = Oracle::listen()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let (mut unload_without, mut unload_with) = (Vec::new(), Vec::new());
    let mut ticks = 0;
    for turn in 0..TURNS {
        let napping = (turn % 2 == 1).then(|| Actor::start(&["napping", "0"]));
        let _napping = napping.transpose()?;
        unload_without.push(there_and_back(&mut oracle, &mut without)?);
        let daemon = Daemon::start(&[])?;
        // And one that looks for itself while the transition is under way.
        let beside = (turn % 3 == 2).then(|| Running::lpwatch(&[&["status"], ALONE].concat()));
        let beside = beside.transpose()?;
        let before = tasks::ticks(daemon.pid())?;
        unload_with.push(there_and_back(&mut oracle, &mut with)?);
        ticks += tasks::ticks(daemon.pid())? - before;
        if let Some(beside) = beside {
            beside.end()?.expect(&[code::WELL, code::IN_TRANSITION])?;
        }
        daemon.terminate()?;
    }
    // A tick is ten milliseconds, and each turn has two transitions.
    trial.figure("daemon_cpu_ms_each", ticks * 10 / (2 * TURNS));
    compare(trial, &without, &with)?;
    trial.figure("rmmod_without_ms", median(&unload_without).as_millis());
    trial.figure("rmmod_with_ms", median(&unload_with).as_millis());
    let slowest = unload_with.iter().max().context("nothing was unloaded")?;
    ensure!(*slowest < HELD, "a module was held: {unload_with:?}");
    Ok(())
}

/// The same beside `lpwatch check`, which counts calls of the very function when
/// the patch comes.
pub fn beside_check(trial: &mut Trial) -> Result<()> {
    let mut oracle = Oracle::listen()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut unload_with = Vec::new();
    let file = format!("/modules/{PATCH}.ko");
    let line = [&["check", &file, "--sample", "8s"], ALONE].concat();
    for _ in 0..TURNS {
        there_and_back(&mut oracle, &mut without)?;
        let check = Running::lpwatch(&line)?;
        guest::wait_until("the check counts", || has_probe_at(FUNCTION))?;
        unload_with.push(there_and_back(&mut oracle, &mut with)?);
        check.end()?.expect(&[code::WELL, code::DANGER])?;
        ensure!(!has_probe_at(FUNCTION)?, "a counter is left");
    }
    compare(trial, &without, &with)?;
    let slowest = unload_with.iter().max().context("nothing was unloaded")?;
    ensure!(*slowest < HELD, "a module was held: {unload_with:?}");
    Ok(())
}

/// Patches and unpatches, then unloads: gives how long the last took.
fn there_and_back(oracle: &mut Oracle, told: &mut Vec<Told>) -> Result<Duration> {
    let loaded = told_by(oracle, || Patch::load(PATCH))?;
    told.push(loaded.1);
    let patch = loaded.0;
    let disabled = told_by(oracle, || patch.disable())?;
    told.push(disabled.1);
    let started = Instant::now();
    guest::unload(PATCH)?;
    Ok(started.elapsed())
}

fn told_by<T>(oracle: &mut Oracle, begin: impl FnOnce() -> Result<T>) -> Result<(T, Told)> {
    told::follow(oracle, PATCH, begin, |_| Ok(()))
}

fn compare(trial: &mut Trial, without: &[Told], with: &[Told]) -> Result<()> {
    let tries = |told: &[Told]| told.iter().map(|told| told.tries).collect::<Vec<_>>();
    let (tries_without, tries_with) = (tries(without), tries(with));
    trial.figure("tries_without", format!("{tries_without:?}"));
    trial.figure("tries_with", format!("{tries_with:?}"));
    let took = |told: &[Told]| told.iter().map(|told| told.took).collect::<Vec<_>>();
    let (median_without, median_with) = (median(&took(without)), median(&took(with)));
    trial.figure("median_without_ms", median_without.as_millis());
    trial.figure("median_with_ms", median_with.as_millis());
    let ratio = median_with.as_secs_f64() / median_without.as_secs_f64();
    trial.figure("ratio", format!("{ratio:.2}"));

    let spoilt = |told: &[Told]| {
        told.iter()
            .filter(|told| !told.unreliable.is_empty())
            .count()
    };
    ensure!(
        spoilt(with) <= spoilt(without),
        "stacks became unreliable: {with:?}; without lpwatch: {without:?}"
    );
    let most = tries_with.iter().max().context("no transition")?;
    ensure!(*most < STALLED, "one stalled: {with:?}");
    ensure!(
        middle(tries_with) <= middle(tries_without) + 1,
        "more tries are needed: {with:?}; without lpwatch: {without:?}"
    );
    Ok(())
}

fn median(durations: &[Duration]) -> Duration {
    middle(durations.iter().copied())
}
