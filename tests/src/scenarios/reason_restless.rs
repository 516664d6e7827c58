//! Reasons while things are not as they should be: tasks that come and go, and
//! a kernel that hides its symbols.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::reason_asleep::MAIN;
use crate::actor::Actor;
use crate::guest::{self, Module};
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, PATIENT, code};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

/// New tasks all the time, none of which is in the way for long.
pub fn forking(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(&["--slow-after", "3s", "--stall-after", "6s"])?;
    let mut oracle = Oracle::listen()?;
    let _forking = Actor::start(&["forking"])?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    let left = stall.wait_left(Code::Old, 1)?;
    let mut looks = 0_u32;
    guest::wait_until("the daemon calls the transition stalled", || {
        let document = lpwatch::look(&[])?;
        let transition = document.transition("lp_stall")?;
        let listed = transition.tids();
        ensure!(left.is_subset(&listed), "{left:?} is not among {listed:?}");
        for how in [ALONE, ALONE_NO_BPF] {
            let document = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
            let listed = document.transition("lp_stall")?.tids();
            ensure!(left.is_subset(&listed), "{left:?} is not among {listed:?}");
        }
        looks += 1;
        Ok(transition.phase()? == "stalled")
    })?;
    trial.figure("looks", looks);
    let mut comparison = Comparison::of(&stall.name, Code::Old);
    comparison.run(&mut oracle, ALL_WAYS, &left)?;
    comparison.conclude(trial)
}

const KPTR_RESTRICT: &str = "/proc/sys/kernel/kptr_restrict";

/// Symbols hidden from everyone, until it goes.
struct Hidden {
    before: String,
}

impl Hidden {
    fn hide() -> Result<Self> {
        let before = fs::read_to_string(KPTR_RESTRICT)?;
        fs::write(KPTR_RESTRICT, "2").context("hiding the symbols")?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Err(error) = fs::write(KPTR_RESTRICT, self.before.trim()) {
            eprintln!("    left behind: {KPTR_RESTRICT}: {error}");
        }
    }
}

/// Even root sees no addresses: the reason is found, and the stacks have names
/// all the same, because /proc shows them.
pub fn hidden_symbols(trial: &mut Trial) -> Result<()> {
    let hidden = Hidden::hide()?;
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    // A kernel thread: the kernel's signal would free a user task meanwhile, for
    // looks take long here.
    let target = Module::load("lpwatch_target")?;
    let patch = Patch::load("lp_stall")?;
    let tids = patch.wait_left(Code::Old, 1)?;
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "sleeping_on_function", MAIN)?;
    for look in &looks {
        for tid in &tids {
            let blocker = look.of(*tid)?;
            let named = blocker.stack.iter().any(|frame| frame.contains(MAIN));
            ensure!(named, "[{}] no names on its stack: {blocker:?}", look.how);
        }
    }
    comparison.conclude(trial)?;
    drop(hidden);
    patch.remove()?;
    target.unload()
}
