//! `lpwatch wait` before the patch is loaded, for progress, for a stall, for an effect,
//! and for several patches.

use anyhow::{Result, ensure};

use crate::calls::Caller;
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, Ended, PATIENT, Running, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(PATIENT)?;
    let missing = lpwatch::run(&[&["wait", "lp_none", "--or-appear", "1s"]])?;
    says(
        trial,
        &missing,
        code::TIMED_OUT,
        "lp_none: not loaded after",
    )?;
    progress(trial)?;
    stall(trial)?;
    effective(trial)?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// A wait that begins before any patch, one for a task that leaves, and one for two
/// patches. After 15 s the kernel's signal ends it if nothing else does.
fn progress(trial: &Trial) -> Result<()> {
    let (first, second) = (Sleeper::start()?, Sleeper::start()?);
    let any = start(&["--or-appear", "5m"])?;
    any.wait_asleep()?;
    ensure!(!any.has_spoken()?, "nothing is loaded: {}", any.stdout()?);
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 2)?;
    let several = start(&["lp_none", "lp_sleepers", "--or-appear", "1s"])?;
    let named = start(&["lp_sleepers", "--for", "progress"])?;
    named.wait_asleep()?;
    first.end()?;
    says(trial, &named.end()?, code::WELL, "lp_sleepers: p")?;
    second.end()?;
    says(
        trial,
        &any.end()?,
        code::WELL,
        "lp_sleepers: patching completed after",
    )?;
    let several = several.end()?;
    says(
        trial,
        &several,
        code::TIMED_OUT,
        "lp_sleepers: patching completed",
    )?;
    let text = several.text();
    ensure!(text.contains("lp_none: not loaded after"), "{text}");
    patch.remove()
}

/// 11, as `--stall-after` alone, and 12 for the end that comes instead.
fn stall(trial: &Trial) -> Result<()> {
    let target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    stall.wait_left(Code::Old, 1)?;
    let asked = ["--for", "stalled", "--stall-after"];
    let stalled = start(&[&["lp_stall"], &asked[..], &["2s"]].concat())?.end()?;
    says(
        trial,
        &stalled,
        code::STALLED,
        "lp_stall: stalled while patching",
    )?;
    let waiting = start(&[&["lp_stall"], &asked[..], &["1h"]].concat())?;
    waiting.wait_asleep()?;
    stall.disable()?;
    says(
        trial,
        &waiting.end()?,
        code::REVERSED,
        "lp_stall: patching reversed",
    )?;
    stall.remove()?;
    target.unload()
}

/// The transition completes, and only a call of the new code ends the wait.
fn effective(trial: &Trial) -> Result<()> {
    const PATCH: &str = "lp_calls";
    let mut caller = Caller::load()?;
    caller.leave()?;
    let waiting = start(&[PATCH, "--or-appear", "5m", "--for", "effective"])?;
    waiting.wait_asleep()?;
    let patch = Patch::load_completely(PATCH)?;
    let timed = start(&[PATCH, "--for", "effective", "--timeout", "6s"])?.end()?;
    says(
        trial,
        &timed,
        code::TIMED_OUT,
        "no call of its new code was seen in",
    )?;
    ensure!(
        !waiting.has_spoken()?,
        "nothing has called it: {}",
        waiting.stdout()?
    );
    // Calls from before its hook on the new code has fired prove nothing.
    guest::wait_until("the wait sees a call", || {
        caller.now(5)?;
        waiting.has_spoken()
    })?;
    says(trial, &waiting.end()?, code::WELL, "; its new code runs.")?;
    patch.disable()?;
    patch.wait_gone()?;
    patch.remove()?;
    caller.unload()
}

fn start(arguments: &[&str]) -> Result<Running> {
    Running::lpwatch(&[&["wait"], arguments].concat())
}

fn says(trial: &Trial, ended: &Ended, expected: i32, words: &str) -> Result<()> {
    let text = ended.expect(&[expected])?.text();
    trial.say(text.trim_end());
    ensure!(text.contains(words), "{words:?}: {text}");
    Ok(())
}
