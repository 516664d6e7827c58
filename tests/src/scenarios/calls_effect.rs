//! A patch that is enabled and complete, and whose code does not run; and a
//! patch that the kernel refuses, for whatever would keep its code from running.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;

use super::refused::last;
use crate::calls::{Caller, GCD, WATCH_BOTH, WORK};
use crate::guest::{self, Module};
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::patch::{self, Patch};
use crate::trial::Trial;

const PATCH: &str = "lp_calls";
const PROBE: &str = "lpwatch_redirect";
const FTRACE_ENABLED: &str = "/proc/sys/kernel/ftrace_enabled";

/// How soon after a call it must be told that it ran old code.
const TOLD: Duration = Duration::from_secs(2);

/// A probe that sends calls elsewhere stands there before the patch is loaded,
/// and before lpwatch looks.
pub fn redirected(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let probe = Module::load(PROBE)?;
    let _daemon = Daemon::start(PATIENT)?;
    let told = Journal::begin()?;
    let patch = Patch::load_completely(PATCH)?;
    ensure!(
        patch::enabled(PATCH)? == Some(true),
        "the kernel says that all is well"
    );
    GCD.wait_entered(PATCH)?;
    not_effective(trial, &mut caller, "told_after_ms")?;

    // The other function runs its new code: that must be told as well.
    let work = WORK.counted(Some(PATCH))?;
    ensure!(work.effective == Some(true), "{work:?}");

    probe.unload()?;
    caller.now(30)?;
    let again = guest::wait_for("lpwatch sees that the new code runs", || {
        let calls = GCD.counted(Some(PATCH))?;
        Ok((calls.effective == Some(true)).then_some(calls))
    })?;
    ensure!(
        again.finding("not_effective").is_none() && again.finding("old_code_called").is_some(),
        "what happened before is told: {again:?}"
    );
    told.expect(
        PATCH,
        &["new_code_entered", "effect_lost", "effect_regained"],
    )?;
    lpwatch::run(&[&["verify"]])?.expect(&[code::WELL])?;
    patch.remove()?;
    caller.unload()
}

/// lpwatch watched the function before that probe came, and so stands behind it.
pub fn redirected_watched(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    GCD.wait_counted(None)?;
    let probe = Module::load(PROBE)?;
    let patch = Patch::load_completely(PATCH)?;
    GCD.wait_entered(PATCH)?;
    not_effective(trial, &mut caller, "told_after_ms")?;
    probe.unload()?;
    patch.remove()?;
    caller.unload()
}

/// Makes some calls, of which it must be told in time that they ran old code.
fn not_effective(trial: &mut Trial, caller: &mut Caller, figure: &str) -> Result<()> {
    caller.now(5)?;
    let called = Instant::now();
    let verified = lpwatch::run(&[&["verify", PATCH]])?;
    let took = called.elapsed();
    verified.expect(&[code::DANGER])?;
    trial.figure(figure, took.as_millis());
    ensure!(took <= TOLD, "that was told {took:?} later only");
    ensure!(
        verified.text().contains(GCD.name),
        "it is not told of what: {}",
        verified.text()
    );
    let calls = GCD.counted(Some(PATCH))?;
    let found = calls
        .finding("not_effective")
        .with_context(|| format!("{calls:?}"))?;
    ensure!(
        found.severity == "danger" && !found.advice.is_empty(),
        "{found:?}"
    );
    trial.say(&found.text);
    ensure!(calls.effective == Some(false), "{calls:?}");
    lpwatch::run(&[&["calls", PATCH]])?.expect(&[code::DANGER])?;
    Ok(())
}

/// A probe that holds the function by its post handler: the kernel refuses the
/// patch, and lpwatch tells of it.
pub fn post_handler(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    let probe = Module::load_with(PROBE, c"post=1")?;
    let _daemon = Daemon::start(&[])?;
    let errno = guest::load_refused(PATCH)?;
    ensure!(errno == Errno::EBUSY, "the kernel said {errno}");
    let refused = last(PATCH)?;
    ensure!(
        ["refused", "cancelled"].contains(&refused.outcome.as_str())
            && refused.errno() == Some(Errno::EBUSY as i32),
        "{refused:?}"
    );
    trial.say(&refused.why());

    // And once it is gone, all goes its way.
    probe.unload()?;
    caller.leave()?;
    Patch::load_completely(PATCH)?.remove()?;
    caller.unload()
}

/// ftrace cannot be switched off while a patch is loaded. Off before, it keeps
/// every patch out, and nothing is counted: lpwatch says so, loudly.
pub fn ftrace(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    GCD.wait_counted(None)?;
    let patch = Patch::load_completely(PATCH)?;
    let refused = switch_ftrace("0")
        .err()
        .context("ftrace could be switched off")?;
    let errno = refused.raw_os_error().map(Errno::from_raw);
    ensure!(errno == Some(Errno::EBUSY), "the kernel said {refused}");
    trial.say(&format!("with a patch loaded: {refused}"));
    patch.remove()?;
    caller.now(10)?;
    GCD.expect_all(None, caller.made)?;

    // Up to 5.10 at least, BPF's own hook forbids it as well: there lpwatch
    // itself keeps ftrace on (`direct_ops`, kernel/trace/ftrace.c).
    let off = match Off::switch() {
        Err(error) if guest::kernel_series()? == "5.10" => {
            trial.say(&format!("with lpwatch alone: {error:#}"));
            return caller.unload();
        }
        switched => switched?,
    };
    told_that_off(trial)?;
    refused_while_off(trial)?;
    drop(off);
    caller.now(20)?;
    let calls = GCD.expect_all(None, caller.made)?;
    ensure!(calls.findings.is_empty(), "{calls:?}");
    lpwatch::run(&[&["calls"]])?.expect(&[code::WELL])?;
    caller.unload()
}

/// ftrace is off already when lpwatch comes.
pub fn ftrace_off_first(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let off = Off::switch()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    told_that_off(trial)?;
    refused_while_off(trial)?;
    drop(off);
    GCD.wait_counted(None)?;
    let patch = Patch::load_completely(PATCH)?;
    GCD.wait_entered(PATCH)?;
    let before = GCD.counted(Some(PATCH))?;
    let new = caller.now(20)?;
    let calls = GCD.counted(Some(PATCH))?;
    ensure!(calls.new == before.new + new, "{calls:?}");
    patch.remove()?;
    caller.unload()
}

fn told_that_off(trial: &Trial) -> Result<()> {
    let document = lpwatch::look(&[])?;
    match GCD.calls(&document, None)? {
        Some(calls) => {
            let found = calls.finding("ftrace_disabled");
            let found = found.with_context(|| format!("{calls:?}"))?;
            ensure!(found.severity == "danger", "{found:?}");
            trial.say(&found.text);
        }
        None => trial.say(&format!("{:?}", GCD.why_not(&document, None)?)),
    }
    let told = lpwatch::run(&[&["calls"]])?;
    told.expect(&[code::DANGER])?;
    let status = lpwatch::run(&[&["status"]])?;
    for text in [told.text(), status.text()] {
        ensure!(text.contains("ftrace_enabled"), "it is not said: {text}");
    }
    Ok(())
}

fn refused_while_off(trial: &Trial) -> Result<()> {
    let errno = guest::load_refused(PATCH)?;
    ensure!(errno == Errno::EBUSY, "the kernel said {errno}");
    // Hooks stand still as well: the kernel log tells of it.
    let refused = guest::wait_for("the daemon tells of the refusal", || {
        let told = lpwatch::poll()?.last_transitions;
        let mut told = told.into_iter().filter(|past| !past.why().is_empty());
        Ok(told.find(|past| ["refused", "cancelled"].contains(&past.outcome.as_str())))
    })?;
    let message = refused.why();
    ensure!(
        refused.patch.as_deref() == Some(PATCH) && message.contains(GCD.name),
        "{refused:?}"
    );
    trial.say(&message);
    Ok(())
}

/// ftrace switched off, and on again in the end.
pub(super) struct Off;

impl Off {
    pub fn switch() -> Result<Self> {
        switch_ftrace("0").context("switching ftrace off")?;
        Ok(Self)
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        if let Err(error) = switch_ftrace("1") {
            eprintln!("    left behind: ftrace switched off: {error:#}");
        }
    }
}

fn switch_ftrace(to: &str) -> std::io::Result<()> {
    fs::write(FTRACE_ENABLED, to)
}
