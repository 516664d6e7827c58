//! Why a task is left: it is asleep in a function that is to be patched.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::actor::Actor;
use crate::blockers::{self, Look};
use crate::guest::{self, Module};
use crate::lpwatch::{ALONE, Daemon, PATIENT};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::sleeper::Sleeper;
use crate::tasks::{self, Code};
use crate::trial::Trial;

pub const PAUSE: &str = "__x64_sys_pause";
pub const MAIN: &str = "lpwatch_target_main";
const MANY: usize = 300;

/// A kernel thread inside its main function, which it never leaves.
pub fn kthread(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    let left = stall.wait_left(Code::Old, 1)?;
    let mut comparison = Comparison::of(&stall.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &left)?;
    reasons::expect(&looks, &left, "sleeping_on_function", MAIN)?;
    for look in &looks {
        ensure!(look.tids() == left, "others are listed: {look:?}");
        for blocker in &look.blockers {
            ensure!(
                blocker.kthread && blocker.comm == "lpwatch_target",
                "{blocker:?}"
            );
            shows_frame(look, blocker.tid, MAIN)?;
        }
    }
    comparison.conclude(trial)
}

/// User tasks in a function of the kernel itself.
pub fn sleepers(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let sleepers = (0..3)
        .map(|_| Sleeper::start())
        .collect::<Result<Vec<_>>>()?;
    let pids: BTreeSet<i32> = sleepers.iter().map(Sleeper::pid).collect::<Result<_>>()?;
    let patch = Patch::load("lp_sleepers")?;
    ensure!(patch.wait_left(Code::Old, 3)? == pids, "others are left");
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &pids)?;
    reasons::expect(&looks, &pids, "sleeping_on_function", PAUSE)?;
    for look in &looks {
        for tid in &pids {
            shows_frame(look, *tid, PAUSE)?;
        }
    }
    comparison.conclude(trial)?;
    drop(sleepers);
    patch.remove()
}

/// The frame that blocks is one of the stack's, and in that function. A system
/// call goes by several names, and the kernel shows now this, now that one.
fn shows_frame(look: &Look, tid: i32, function: &str) -> Result<()> {
    let blocker = look.of(tid)?;
    let frame = blocker.blocking_frame.and_then(|at| blocker.stack.get(at));
    let names =
        [function, &function.replace("__x64_sys_", "__do_sys_")].map(|name| format!("{name}+"));
    ensure!(
        frame.is_some_and(|frame| names.iter().any(|name| frame.starts_with(name))),
        "[{}] no frame in {function}: {blocker:?}",
        look.how
    );
    Ok(())
}

/// More tasks than anyone reads: all are listed, and all are right.
pub fn many(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let actor = Actor::start(&["pausing", &(MANY - 1).to_string()])?;
    actor.wait_in("_sys_pause")?;
    let tids: BTreeSet<i32> = actor.tids().into_iter().collect();
    ensure!(tids.len() == MANY, "{} threads", tids.len());
    let patch = Patch::load("lp_sleepers")?;
    ensure!(patch.wait_left(Code::Old, MANY)? == tids, "others are left");
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    for look in &looks {
        let listed = look.tids().intersection(&tids).count();
        ensure!(
            listed == MANY,
            "[{}] {listed} of {MANY} are listed",
            look.how
        );
        let pid = actor.pid()?;
        let strangers = look.blockers.iter().filter(|one| one.tgid != pid).count();
        ensure!(strangers == 0, "[{}] {strangers} others", look.how);
    }
    comparison.conclude(trial)?;
    drop(actor);
    patch.remove()
}

/// A task that is stopped leaves the function in which it slept, and stays
/// stopped outside it. lpwatch must not go on listing it.
pub fn stopped(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let (stopped, stays) = (
        Actor::start(&["pausing", "0"])?,
        Actor::start(&["pausing", "0"])?,
    );
    stopped.wait_in("_sys_pause")?;
    stays.wait_in("_sys_pause")?;
    let both = BTreeSet::from([stopped.pid()?, stays.pid()?]);
    let patch = Patch::load("lp_sleepers")?;
    ensure!(patch.wait_left(Code::Old, 2)? == both, "others are left");
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    comparison.run(&mut oracle, &[&[], ALONE], &both)?;

    stopped.signal(Signal::SIGSTOP)?;
    patch.wait_left(Code::Old, 1)?;
    let one = BTreeSet::from([stays.pid()?]);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &one)?;
    for look in &looks {
        ensure!(look.tids() == one, "others are listed: {look:?}");
    }
    stopped.signal(Signal::SIGCONT)?;
    stopped.wait_in("lp_sleepers_pause")?;
    comparison.conclude(trial)
}

/// A name of fifteen bytes that no line should be made of.
pub fn odd_comm(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let sleeper = Sleeper::named(b"\n) S 1 \x1b[7m\xfe:7 ")?;
    let tids = BTreeSet::from([sleeper.pid()?]);
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "sleeping_on_function", PAUSE)?;
    comparison.conclude(trial)
}

/// Turned round with tasks on both sides: those that had not switched are
/// where they should be, those that had are left now.
pub fn reversal(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let before = Actor::start(&["pausing", "1"])?;
    before.wait_in("_sys_pause")?;
    let old: BTreeSet<i32> = before.tids().into_iter().collect();
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, old.len())?;
    ensure!(!tasks::running(Code::Old).contains(&i32::try_from(std::process::id())?));

    // What this process starts now is on new code, as this process is.
    let after = Actor::start(&["pausing", "2"])?;
    after.wait_in("lp_sleepers_pause")?;
    let new: BTreeSet<i32> = after.tids().into_iter().collect();
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &old)?;
    ensure!(looks.iter().all(|look| look.tids() == old), "{looks:?}");

    patch.disable()?;
    patch.wait_left(Code::New, new.len())?;
    comparison.turn(Code::New);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &new)?;
    reasons::expect(&looks, &new, "sleeping_on_function", PAUSE)?;
    for look in &looks {
        ensure!(look.direction == "unpatching", "{look:?}");
        ensure!(look.tids() == new, "others are listed: {look:?}");
        for tid in &new {
            shows_frame(look, *tid, "lp_sleepers_pause")?;
        }
    }
    comparison.conclude(trial)?;
    drop(after);
    patch.wait_gone()?;
    guest::wait_until("lpwatch shows no transition any more", || {
        Ok(blockers::look("lp_sleepers", &[])?.is_none())
    })
    .context("after the reversal")
}
