//! Every call is counted, once, and as what it was: with known numbers of calls
//! before, during and after a transition, in several threads on all processors.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::calls::{BOTH, Caller, Function, HELD, WATCH_BOTH};
use crate::contract::{Calls, PhaseCalls};
use crate::lpwatch::{Daemon, PATIENT};
use crate::patch::Patch;
use crate::tasks::Code;
use crate::trial::Trial;

const PATCH: &str = "lp_calls";

/// How often it goes in and out while calls are made all the time.
const TURNS: usize = 3;

/// Between two turns.
const MEANWHILE: Duration = Duration::from_millis(300);

/// Calls that were made in one phase.
#[derive(Clone, Copy)]
struct Made {
    old: u64,
    new: u64,
}

/// Calls of each thread where they crowd each other out.
const CROWD: u64 = 300_000;

/// Phase by phase.
pub fn run(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    for function in BOTH {
        let calls = function.wait_counted(None)?;
        trial.figure(&format!("{}_by", function.name), calls.counter);
    }
    let before = Made {
        old: caller.now(500)? + caller.held(100)?,
        new: 0,
    };
    for function in BOTH {
        function.expect_all(None, before.old)?;
    }

    let patch = Patch::load(PATCH)?;
    patch.wait_left(Code::Old, HELD)?;
    trial.say("the module's threads are held on old code");
    let during = Made {
        old: caller.held(70)? + caller.held(7)?,
        new: caller.now(300)?,
    };
    for function in BOTH {
        let calls = function.expect_all(Some(PATCH), caller.made)?;
        expect(function, "before", calls.before.as_ref(), before)?;
        expect(function, "during", calls.during.as_ref(), during)?;
    }

    caller.leave()?;
    patch.wait_complete()?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    let after = Made {
        old: 0,
        new: caller.now(400)?,
    };
    for function in BOTH {
        let calls = function.expect_all(Some(PATCH), caller.made)?;
        expect(function, "before", calls.before.as_ref(), before)?;
        expect(function, "during", calls.during.as_ref(), during)?;
        expect(function, "after", calls.after.as_ref(), after)?;
        expect_sums(function, &calls, &[before, during, after])?;
    }
    trial.figure("calls_made", caller.made);

    patch.remove()?;
    caller.now(200)?;
    for function in BOTH {
        function.expect_all(None, caller.made)?;
    }
    caller.unload()
}

fn expect(function: Function, phase: &str, counted: Option<&PhaseCalls>, made: Made) -> Result<()> {
    let counted =
        counted.with_context(|| format!("{}: no calls {phase} the transition", function.name))?;
    let Made { old, new } = made;
    ensure!(
        counted.old == old && counted.new == new,
        "{}: {old} old and {new} new calls were made {phase} the transition, counted: {counted:?}",
        function.name
    );
    Ok(())
}

fn expect_sums(function: Function, calls: &Calls, made: &[Made]) -> Result<()> {
    let old: u64 = made.iter().map(|made| made.old).sum();
    let new: u64 = made.iter().map(|made| made.new).sum();
    let entered = calls.entered.as_ref().context("entries are not counted")?;
    ensure!(
        (calls.old, calls.new, calls.uncertain) == (old, new, 0),
        "{}: {old} old and {new} new calls were made, counted: {calls:?}",
        function.name
    );
    ensure!(
        entered.entries == entered.expected && calls.effective == Some(true),
        "{}: the new code was entered another number of times: {calls:?}",
        function.name
    );
    Ok(())
}

/// All the time, while the patch goes in and out: none is lost at a turn, and
/// none counted twice.
pub fn turns(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    for function in BOTH {
        function.wait_counted(None)?;
    }
    let calling = caller.without_end();
    for turn in 0..TURNS {
        std::thread::sleep(MEANWHILE);
        trial.say(&format!("turn {turn}"));
        let patch = Patch::load_completely(PATCH)?;
        std::thread::sleep(MEANWHILE);
        patch.remove()?;
    }
    std::thread::sleep(MEANWHILE);
    trial.figure("calls_made", calling.end()?);
    for function in BOTH {
        let calls = function.expect_all(None, caller.made)?;
        trial.figure(&format!("{}_uncertain", function.name), calls.uncertain);
    }
    caller.unload()
}

/// More threads than processors, none of which sleeps: the kernel preempts them
/// in the counters as well, and leaves the counters out for the others meanwhile.
pub fn crowded(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let patch = Patch::load_completely(PATCH)?;
    // Begun after the patch, it counts functions of the kernel by fentry where
    // it can.
    let _daemon = Daemon::start(PATIENT)?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    trial.figure("calls_made", caller.now(CROWD)?);
    for function in BOTH {
        let calls = function.expect_all(Some(PATCH), caller.made)?;
        ensure!(
            (calls.old, calls.new, calls.uncertain) == (0, caller.made, 0),
            "{}: {calls:?}",
            function.name
        );
        let entered = calls.entered.as_ref().context("entries are not counted")?;
        ensure!(
            entered.entries == entered.expected && calls.effective == Some(true),
            "{}: {calls:?}",
            function.name
        );
        trial.figure(&format!("{}_by", function.name), calls.counter);
    }
    patch.remove()?;
    caller.unload()
}
