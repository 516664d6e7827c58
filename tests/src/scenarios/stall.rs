//! The main thing: a transition that waits for one kernel thread, seen by
//! lpwatch alone, with BPF and without.

use std::env;

use anyhow::{Context, Result, ensure};

use crate::contract::Transition;
use crate::guest::Module;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, PATIENT, code};
use crate::patch::{self, Patch};
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// Any transition is stalled under these.
const IMPATIENT: &[&str] = &["--slow-after", "1ms", "--stall-after", "10ms"];

pub fn run(trial: &mut Trial) -> Result<()> {
    let target = Module::load("lpwatch_target")?;
    let stall = Patch::load(&stalling_patch())?;
    let left = stall.wait_left(Code::Old, 1)?;
    trial.say("the kernel thread is the only task left");

    for (how, source) in [(ALONE, "bpf"), (ALONE_NO_BPF, "procfs")] {
        let before = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
        ensure!(
            before.source == source,
            "source {}, not {source}",
            before.source
        );
        ensure!(!before.daemon, "there is no daemon to ask");
        let transition = before.transition(&stall.name)?;
        ensure!(
            transition.phase()? == "progressing",
            "phase {:?}",
            transition.phase
        );
        check_blocker(transition).with_context(|| format!("source {source}"))?;
        ensure!(
            transition.tids() == left,
            "{:?}, not {left:?}",
            transition.tids()
        );

        let after = lpwatch::status(&[how, IMPATIENT], &[code::STALLED])?;
        let transition = after.transition(&stall.name)?;
        ensure!(
            transition.phase()? == "stalled",
            "phase {:?}",
            transition.phase
        );
        ensure!(
            transition.tids() == left,
            "{:?}, not {left:?}",
            transition.tids()
        );
    }
    let table = lpwatch::run(&[&["status"], ALONE, IMPATIENT])?;
    let text = table.expect(&[code::STALLED])?.text();
    ensure!(
        text.contains("lpwatch_target"),
        "the table names no task: {text}"
    );

    stall.disable()?;
    stall.wait_gone()?;
    for how in [ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how], &[code::WELL])?;
        ensure!(document.patches.is_empty(), "patches left: {document:?}");
    }
    stall.remove()?;
    target.unload()
}

/// Which patch to load. Another one than the stalling one can be named to see
/// this scenario fail, as it then must.
fn stalling_patch() -> String {
    let file = env::var("LPWATCH_STALL_PATCH").unwrap_or_else(|_| "lp_stall.ko".to_owned());
    file.trim_end_matches(".ko").to_owned()
}

/// What must be said of the one task that is left.
pub fn check_blocker(transition: &Transition) -> Result<()> {
    ensure!(
        transition.direction == "patching",
        "direction {}",
        transition.direction
    );
    ensure!(
        transition.tasks_remaining == Some(1),
        "tasks left: {:?}",
        transition.tasks_remaining
    );
    let [blocker] = &transition.blockers[..] else {
        anyhow::bail!("not one blocker: {:?}", transition.blockers);
    };
    ensure!(blocker.comm == "lpwatch_target", "comm {}", blocker.comm);
    ensure!(
        blocker.kthread,
        "not marked as a kernel thread: {blocker:?}"
    );
    ensure!(
        blocker.tgid == blocker.tid,
        "tgid and tid differ: {blocker:?}"
    );

    // Tasks come and go between lpwatch's count and this one.
    let (total, own) = (transition.tasks_total.context("no total")?, tasks::count());
    ensure!(
        total.abs_diff(own) <= 5,
        "{total} tasks in all, /proc has {own}"
    );
    ensure!(
        patch::enabled("lp_stall")? == Some(true),
        "the patch went away meanwhile"
    );
    Ok(())
}
