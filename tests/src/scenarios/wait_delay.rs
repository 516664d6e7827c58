//! How long after the end of a transition `lpwatch wait` returns, beside a
//! loop that looks once a second. Printed, not asserted.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guest::{self, SOON};
use crate::lpwatch::{Daemon, Running, code};
use crate::patch::{self, Patch};
use crate::sleeper::Sleeper;
use crate::tasks::{self, Code};
use crate::trial::Trial;

const ROUNDS: u32 = 4;

/// How long after the end of one transition each was noticed.
#[derive(Default)]
struct Delays {
    /// Until `wait` had printed its line.
    line: Vec<Duration>,
    /// Until it had ended, which is what a script waits for.
    exit: Vec<Duration>,
    /// Until the loop saw it.
    polling: Vec<Duration>,
}

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    measure(trial, "daemon", &[])?;
    drop(daemon);
    measure(trial, "alone", &["--no-daemon"])?;
    measure(trial, "alone_no_bpf", &["--no-daemon", "--no-bpf"])
}

fn measure(trial: &mut Trial, name: &str, how: &[&str]) -> Result<()> {
    let mut delays = Delays::default();
    for round in 0..ROUNDS {
        one(round, how, &mut delays)?;
    }
    trial.figure(&format!("wait_{name}_line_ms"), milliseconds(&delays.line));
    trial.figure(&format!("wait_{name}_exit_ms"), milliseconds(&delays.exit));
    trial.figure(
        &format!("beside_{name}_poll_ms"),
        milliseconds(&delays.polling),
    );
    Ok(())
}

fn milliseconds(durations: &[Duration]) -> String {
    let each = durations
        .iter()
        .map(|one| format!("{:.1}", one.as_secs_f64() * 1000.0));
    each.collect::<Vec<_>>().join(" ")
}

/// One transition, held open by a sleeping task until both are watching.
fn one(round: u32, how: &[&str], delays: &mut Delays) -> Result<()> {
    let sleeper = Sleeper::start()?;
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let mut waiting = Running::lpwatch(&[&["wait", "lp_sleepers"], how].concat())?;
    let polling = thread::spawn(poll_once_a_second);
    settle(waiting.child.id())?;
    // The rounds differ in where within its second the loop is found.
    thread::sleep(Duration::from_millis(230) * round);
    // On a very slow machine the kernel's signal may have been faster.
    let in_time = patch::transition("lp_sleepers")? == Some(true);
    sleeper.end()?;

    let (mut ended, mut line, mut exit) = (None, None, None);
    let deadline = Instant::now() + SOON;
    while ended.is_none() || exit.is_none() {
        if ended.is_none() && patch::transition("lp_sleepers")? == Some(false) {
            ended = Some(Instant::now());
        }
        if line.is_none() && waiting.has_spoken()? {
            line = Some(Instant::now());
        }
        if exit.is_none() && waiting.child.try_wait()?.is_some() {
            exit = Some(Instant::now());
        }
        ensure!(Instant::now() < deadline, "no end: {ended:?} {exit:?}");
        thread::sleep(Duration::from_micros(500));
    }
    let polled = polling
        .join()
        .map_err(|_| anyhow::anyhow!("the loop panicked"))??;
    waiting.end()?.expect(&[code::WELL])?;
    patch.remove()?;

    if !in_time {
        return Ok(());
    }
    // `wait` may have been told before this loop looked: no delay then.
    let ended = ended.context("no end")?;
    let exit = exit.context("no exit")?;
    delays.exit.push(exit.saturating_duration_since(ended));
    delays
        .line
        .push(line.unwrap_or(exit).saturating_duration_since(ended));
    delays.polling.push(polled.saturating_duration_since(ended));
    Ok(())
}

/// Waits until a process has done what it does at its start: loading programs
/// into the kernel takes seconds here, and is no part of the delay.
fn settle(pid: u32) -> Result<()> {
    let mut last = None;
    guest::wait_until("lpwatch has nothing to do", || {
        thread::sleep(Duration::from_millis(700));
        let used = tasks::ticks(pid)?;
        let before = last.replace(used);
        // The look at all tasks, once a second, may take a few.
        Ok(before.is_some_and(|before| used - before <= 5))
    })
}

/// What people do without lpwatch: `while …; do sleep 1; done`.
fn poll_once_a_second() -> Result<Instant> {
    while patch::transition("lp_sleepers")? == Some(true) {
        thread::sleep(Duration::from_secs(1));
    }
    Ok(Instant::now())
}
