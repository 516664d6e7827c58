//! A daemon with nothing to watch sleeps: it does not look again and again.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guest;
use crate::lpwatch::Daemon;
use crate::patch::Patch;
use crate::tasks;
use crate::trial::Trial;

const WATCHED: Duration = Duration::from_secs(5);

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
struct Used {
    /// Clock ticks, a hundredth of a second each.
    ticks: u64,
    /// How often a thread of it has gone to sleep, so: how often one woke up.
    sleeps: u64,
}

/// Readings of counters: once a second, and what that takes of sleeps.
const COUNTING: u64 = 3;

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    thread::sleep(Duration::from_secs(2));
    let Used { ticks, sleeps } = in_a_while(&daemon)?;
    trial.figure("ticks_in_5s", ticks);
    trial.figure("wakeups_in_5s", sleeps);
    ensure!(
        ticks <= 2,
        "used {ticks} clock ticks in {WATCHED:?} with nothing to do"
    );
    ensure!(
        sleeps <= 5,
        "woke up {sleeps} times in {WATCHED:?} with nothing to do"
    );

    // With a patch that is in and settled its calls are counted, no more.
    let _patch = Patch::load_completely("lp_cmdline")?;
    daemon.wait_outcome("lp_cmdline", "patching", "completed")?;
    thread::sleep(Duration::from_secs(2));
    let Used { ticks, sleeps } = in_a_while(&daemon)?;
    trial.figure("counting_ticks_in_5s", ticks);
    trial.figure("counting_wakeups_in_5s", sleeps);
    ensure!(
        sleeps <= COUNTING * (WATCHED.as_secs() + 1),
        "woke up {sleeps} times in {WATCHED:?} with counters to read"
    );
    Ok(())
}

fn in_a_while(daemon: &Daemon) -> Result<Used> {
    let before = used(daemon.pid())?;
    thread::sleep(WATCHED);
    let after = used(daemon.pid())?;
    Ok(Used {
        ticks: after.ticks - before.ticks,
        sleeps: after.sleeps - before.sleeps,
    })
}

fn used(pid: u32) -> Result<Used> {
    Ok(Used {
        ticks: tasks::ticks(pid)?,
        sleeps: sleeps(pid)?,
    })
}

fn sleeps(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/task");
    let mut sum = 0;
    for tid in guest::names_in(Path::new(&folder)) {
        let status = fs::read_to_string(format!("{folder}/{tid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .context("no count of switches")?;
        sum += line.trim().parse::<u64>()?;
    }
    Ok(sum)
}
