//! The exit codes of `lpwatch wait`, with a daemon and without.

use anyhow::{Context, Result, ensure};

use crate::guest::Module;
use crate::lpwatch::{Daemon, Ended, Running, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

pub fn run(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(&[])?;
    all_codes(trial, &[])
}

pub fn without_daemon(trial: &mut Trial) -> Result<()> {
    all_codes(trial, &["--no-daemon"])?;
    all_codes(trial, &["--no-daemon", "--no-bpf"])
}

fn all_codes(trial: &Trial, how: &[&str]) -> Result<()> {
    trial.say(&format!("wait {}", how.join(" ")));
    completed(how).context("a transition that completes")?;
    not_completed(how).context("a transition that does not")
}

/// 0 for one that ends while it is waited for, and at once for one that ended
/// before.
fn completed(how: &[&str]) -> Result<()> {
    let sleeper = Sleeper::start()?;
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let waiting = start(&["lp_sleepers"], how)?;
    waiting.wait_asleep()?;
    sleeper.end()?;
    one_line(&waiting.end()?, code::WELL)?;
    one_line(&start(&["lp_sleepers"], how)?.end()?, code::WELL)?;
    one_line(&start(&[], how)?.end()?, code::WELL)?;
    patch.remove()
}

/// 11 and 124 when patience ends, 12 when it is reversed.
fn not_completed(how: &[&str]) -> Result<()> {
    let target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    one_line(
        &start(&["lp_stall", "--stall-after", "3s"], how)?.end()?,
        code::STALLED,
    )?;
    let timed = ["lp_stall", "--stall-after", "1h", "--timeout", "3s"];
    one_line(&start(&timed, how)?.end()?, code::TIMED_OUT)?;

    let waiting = start(&["lp_stall", "--stall-after", "1h"], how)?;
    waiting.wait_asleep()?;
    stall.disable()?;
    one_line(&waiting.end()?, code::REVERSED)?;
    stall.remove()?;
    target.unload()
}

fn start(arguments: &[&str], how: &[&str]) -> Result<Running> {
    Running::lpwatch(&[&["wait"], arguments, how].concat())
}

fn one_line(ended: &Ended, expected: i32) -> Result<()> {
    let text = ended.expect(&[expected])?.text();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    ensure!(lines == 1, "not one line of what happened: {text:?}");
    Ok(())
}
