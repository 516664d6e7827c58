//! What is counted comes and goes: modules, patches, the daemon itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::calls::{BOTH, Caller, GCD, WATCH_BOTH, WORK};
use crate::guest;
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, PATIENT};
use crate::patch::Patch;
use crate::trial::Trial;

const PATCH: &str = "lp_calls";
const REPLACEMENT: &str = "lp_calls_replace";
const ON_TOP: &str = "lp_calls_top";

/// How soon a patch must be out that nothing holds: disabled and unloaded.
const OUT: Duration = Duration::from_secs(2);

/// A transition with a task that happens to run when the kernel looks takes a
/// try more, a second later, with lpwatch or without: so one of these has to be
/// in time.
const TURNS: usize = 8;
const TURNS_LEAST: usize = 2;

/// A watched patch goes as soon as one that nobody watches, and so does the
/// module that it patches.
pub fn unloading(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    let (mut out, mut unloaded) = (Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        let patch = Patch::load_completely(PATCH)?;
        for function in BOTH {
            function.wait_entered(PATCH)?;
        }
        caller.now(50)?;
        let started = Instant::now();
        patch.disable()?;
        patch.wait_gone()?;
        let gone = Instant::now();
        patch.remove()?;
        out.push(started.elapsed());
        unloaded.push(gone.elapsed());
        if turn >= TURNS_LEAST && out.iter().any(|time| *time < OUT) {
            break;
        }
    }
    let milliseconds = |all: &[Duration]| {
        let all: Vec<u128> = all.iter().map(Duration::as_millis).collect();
        format!("{all:?}")
    };
    trial.figure("disable_and_rmmod_ms", milliseconds(&out));
    trial.figure("rmmod_ms", milliseconds(&unloaded));
    let quickest = out.iter().min().context("no turn")?;
    let slowest = unloaded.iter().max().context("no turn")?;
    ensure!(*quickest < OUT, "held for too long: {out:?}");
    ensure!(*slowest < OUT, "the module was held: {unloaded:?}");
    for function in BOTH {
        function.expect_all(None, caller.made)?;
    }
    caller.unload()
}

/// The module whose functions are watched is unloaded and loaded again, without
/// a patch and with one.
pub fn target(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    WORK.wait_counted(None)?;
    caller.now(60)?;
    let in_kernel = caller.made;
    unload_at_once(caller)?;
    wait_not_counted(None)?;

    let mut caller = Caller::load()?;
    caller.leave()?;
    WORK.wait_counted(None)?;
    caller.now(70)?;
    // Another module of the same name: its calls begin at 0.
    WORK.expect_all(None, caller.made)?;
    GCD.expect_all(None, in_kernel + caller.made)?;

    let told = Journal::begin()?;
    let patch = Patch::load_completely(PATCH)?;
    let folder = format!("/sys/kernel/livepatch/{PATCH}/{}", WORK.object);
    let shows_objects = Path::new(&folder).join("patched").exists();
    WORK.wait_entered(PATCH)?;
    caller.now(80)?;
    let in_kernel = in_kernel + caller.made;
    unload_at_once(caller)?;
    wait_not_counted(Some(PATCH))?;
    let mut caller = Caller::load()?;
    WORK.wait_counted(Some(PATCH))?;
    caller.now(90)?;
    let calls = WORK.expect_all(Some(PATCH), caller.made)?;
    ensure!(
        calls.old == 0,
        "the module was patched before anything in it ran: {calls:?}"
    );
    GCD.expect_all(Some(PATCH), in_kernel + caller.made)?;
    // Before 6.1 the kernel does not say which objects are patched.
    if shows_objects {
        told.expect(PATCH, &["object_unloaded", "object_loaded"])?;
    }
    patch.remove()?;
    caller.unload()
}

fn unload_at_once(caller: Caller) -> Result<()> {
    let started = Instant::now();
    caller.unload()?;
    let took = started.elapsed();
    ensure!(took < OUT, "the module was held for {took:?}");
    Ok(())
}

/// That its module is gone is told, and no number.
fn wait_not_counted(patch: Option<&str>) -> Result<()> {
    guest::wait_until("a function that is gone is not counted", || {
        let document = lpwatch::poll()?;
        Ok(WORK.calls(&document, patch)?.is_none() && WORK.why_not(&document, patch)?.is_some())
    })
}

/// A patch that replaces another, which leaves one function as it was.
pub fn replace(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    for function in BOTH {
        function.wait_counted(None)?;
    }
    let first = Patch::load_completely(PATCH)?;
    let by_first = caller.now(40)?;
    for function in BOTH {
        let calls = function.expect_all(Some(PATCH), caller.made)?;
        ensure!(calls.new == by_first, "{}: {calls:?}", function.name);
    }

    let second = Patch::load(REPLACEMENT)?;
    daemon.wait_outcome(REPLACEMENT, "patching", "completed")?;
    first.wait_gone()?;
    first.remove()?;
    let by_second = caller.now(30)?;
    let work = WORK.expect_all(Some(REPLACEMENT), caller.made)?;
    ensure!(
        (work.old, work.new) == (by_first, by_second),
        "the code of the first is old for the second: {work:?}"
    );
    // What nobody patches any more has its own code again.
    GCD.expect_all(None, caller.made)?;
    second.remove()?;
    caller.unload()
}

/// Two patches of the same function: the code of the one on top is new.
pub fn on_top(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    GCD.wait_counted(None)?;
    let unpatched = caller.now(20)?;
    let lower = Patch::load_completely(PATCH)?;
    let by_lower = caller.now(30)?;
    let upper = Patch::load_completely(ON_TOP)?;
    GCD.wait_entered(ON_TOP)?;
    let by_upper = caller.now(40)?;

    let calls = GCD.expect_all(Some(ON_TOP), caller.made)?;
    ensure!(
        (calls.old, calls.new) == (unpatched + by_lower, by_upper),
        "the upper one's code is new: {calls:?}"
    );
    ensure!(calls.effective == Some(true), "it runs: {calls:?}");

    upper.remove()?;
    let again = caller.now(50)?;
    let calls = GCD.expect_all(Some(PATCH), caller.made)?;
    ensure!(
        (calls.old, calls.new, calls.above) == (unpatched, by_lower + again, by_upper),
        "the lower one's code runs again: {calls:?}"
    );
    ensure!(calls.effective == Some(true), "it runs: {calls:?}");
    lower.remove()?;
    caller.unload()
}

/// A daemon that is killed leaves nothing, and the next one counts from 0.
pub fn daemon(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let arguments = [PATIENT, WATCH_BOTH].concat();
    let first = Daemon::start(&arguments)?;
    let patch = Patch::load_completely(PATCH)?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    caller.now(500)?;
    for function in BOTH {
        function.expect_all(Some(PATCH), caller.made)?;
    }
    first.kill()?;
    caller.now(60)?;

    caller.made = 0;
    let _second = Daemon::start(&arguments)?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    for calls in [70, 80] {
        caller.now(calls)?;
        for function in BOTH {
            let calls = function.expect_all(Some(PATCH), caller.made)?;
            ensure!(calls.old == 0, "{}: {calls:?}", function.name);
            ensure!(
                calls.before.is_none(),
                "this daemon has not seen the time before: {calls:?}"
            );
        }
    }
    patch.remove()?;
    caller.unload()
}
