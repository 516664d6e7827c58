//! How long after the end of a transition `lpwatch wait` returns, beside a
//! loop that looks once a second. Printed, not asserted.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guest::SOON;
use crate::lpwatch::{Daemon, Running, code};
use crate::patch::{self, Patch};
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

const ROUNDS: u32 = 4;

/// How long after the end of one transition each of two noticed it.
struct Delays {
    wait: Duration,
    polling: Duration,
}

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    measure(trial, "daemon", &[])?;
    drop(daemon);
    measure(trial, "alone", &["--no-daemon"])
}

fn measure(trial: &mut Trial, name: &str, how: &[&str]) -> Result<()> {
    let (mut wait, mut polling) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let delays = one(round, how)?;
        wait.push(milliseconds(delays.wait));
        polling.push(milliseconds(delays.polling));
    }
    trial.figure(&format!("wait_{name}_ms"), wait.join(" "));
    trial.figure(&format!("poll_beside_{name}_ms"), polling.join(" "));
    Ok(())
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

/// One transition, held open by a sleeping task until both are watching.
fn one(round: u32, how: &[&str]) -> Result<Delays> {
    let sleeper = Sleeper::start()?;
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let mut waiting = Running::lpwatch(&[&["wait", "lp_sleepers"], how].concat())?;
    let polling = thread::spawn(poll_once_a_second);
    // The rounds differ in where within its second the loop is found.
    thread::sleep(Duration::from_secs(2) + Duration::from_millis(230) * round);
    sleeper.end()?;

    let (mut ended, mut returned) = (None, None);
    let deadline = Instant::now() + SOON;
    while ended.is_none() || returned.is_none() {
        if ended.is_none() && patch::transition("lp_sleepers")? == Some(false) {
            ended = Some(Instant::now());
        }
        if returned.is_none() && waiting.child.try_wait()?.is_some() {
            returned = Some(Instant::now());
        }
        ensure!(Instant::now() < deadline, "no end: {ended:?} {returned:?}");
        thread::sleep(Duration::from_micros(500));
    }
    let polled = polling
        .join()
        .map_err(|_| anyhow::anyhow!("the loop panicked"))??;
    waiting.end()?.expect(&[code::WELL])?;
    patch.remove()?;

    let ended = ended.context("no end")?;
    Ok(Delays {
        // `wait` may have been told before this loop looked: no delay then.
        wait: returned
            .context("no return")?
            .saturating_duration_since(ended),
        polling: polled.saturating_duration_since(ended),
    })
}

/// What people do without lpwatch: `while …; do sleep 1; done`.
fn poll_once_a_second() -> Result<Instant> {
    while patch::transition("lp_sleepers")? == Some(true) {
        thread::sleep(Duration::from_secs(1));
    }
    Ok(Instant::now())
}
