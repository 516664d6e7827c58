//! kGraft: applied with a stall, forced, taken back, and one that it cannot apply.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::stand::Stand;
use super::{Abi, counted, kgraft_in_progress, last, wait_refused, write};
use crate::guest;
use crate::lpwatch::{self, Daemon, Running, code};
use crate::sleeper::Sleeper;
use crate::trial::Trial;

const IN_PROGRESS: &str = "/sys/kernel/kgraft/in_progress";

fn stand(enabled: bool, direction: Option<&'static str>, stalled: bool) -> Stand<'static> {
    Stand {
        patch: "kgr_fix",
        engine: "kgraft",
        enabled,
        direction,
        stalled,
        refused: false,
    }
}

pub fn run(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&["--slow-after", "2s", "--stall-after", "4s"])?;
    let abi = kgraft_in_progress()?;
    blockers().context("the tasks it has left")?;
    stalls()?;
    completes(&daemon, &abi)?;
    taken_back(&daemon)?;

    abi.tell("say kgr: cannot patch: a function is not traceable")?;
    wait_refused("kgraft", &["not traceable"])?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Nobody tells whom it has left, so nothing moves that can be seen.
fn stalls() -> Result<()> {
    guest::wait_until("kGraft is told to be stalled", || {
        let document = lpwatch::poll()?;
        let kgraft = document.find("kgr_fix");
        let transition = kgraft.and_then(|kgraft| kgraft.transition.as_ref());
        Ok(transition.and_then(|one| one.phase.as_deref()) == Some("stalled"))
    })?;
    let scrape = stand(true, Some("patching"), true).check()?;
    // What is not known is absent, never 0.
    scrape.has_no("lpwatch_transition_tasks{")?;
    scrape.has_no("lpwatch_transition_blocked_tasks{")?;
    lpwatch::run(&[&["wait", "kgr_fix", "--stall-after", "2s"]])?.expect(&[code::STALLED])?;
    Ok(())
}

fn completes(daemon: &Daemon, abi: &Abi) -> Result<()> {
    let waiting = Running::lpwatch(&["wait", "kgr_fix"])?;
    abi.tell("say kgr still in progress after timeout (30)")?;
    abi.tell("states kgr_fix 2")?;
    abi.tell("in_progress 0")?;
    abi.tell("say kgr succeeded")?;
    let document = daemon.wait_outcome("kgr_fix", "patching", "completed")?;
    let past = last(&document, "kgr_fix")?;
    ensure!(past.engine.as_deref() == Some("kgraft"), "{past:?}");
    ensure!(past.tries == Some(1), "{past:?}");
    waiting.end()?.expect(&[code::WELL])?;
    stand(true, None, false).check()?;
    ensure!(counted("patching", "completed")? > 0.5, "not counted");
    Ok(())
}

/// Taken back, which the administrator forces.
fn taken_back(daemon: &Daemon) -> Result<()> {
    write("/sys/kernel/kgraft/kgr_fix/revert", "1")?;
    guest::wait_until("its way back is seen", || {
        let document = lpwatch::poll()?;
        let transition = document.patch("kgr_fix")?.transition.as_ref();
        Ok(transition.is_some_and(|one| one.direction == "unpatching"))
    })?;
    // Its functions are being reverted: it is to be off.
    let document = lpwatch::look(&[])?;
    ensure!(
        document.patch("kgr_fix")?.enabled == Some(false),
        "{document:?}"
    );
    let waiting = Running::lpwatch(&["wait", "kgr_fix"])?;
    write(IN_PROGRESS, "0")?;
    daemon.wait_outcome("kgr_fix", "unpatching", "forced")?;
    waiting.end()?.expect(&[code::WELL])?;
    stand(false, None, false).check()?;
    ensure!(counted("unpatching", "forced")? > 0.5, "not counted");
    Ok(())
}

/// No module can make `/proc/<pid>/kgr_in_progress`: a tree has it, of a task that
/// is really there, beside the real sysfs.
fn blockers() -> Result<()> {
    let sleeper = Sleeper::named(b"waiter")?;
    let pid = sleeper.pid()?;
    let tree = tree(pid)?;
    let root = tree.path().to_str().context("a path that is not UTF-8")?;
    let at = ["--procfs-root", root];
    let document = lpwatch::status(&[&["kgr_fix"], &at], &[code::IN_TRANSITION])?;
    let transition = document.transition("kgr_fix")?;
    ensure!(
        (transition.tasks_total, transition.tasks_remaining) == (Some(1), Some(1)),
        "{transition:?}"
    );
    ensure!(transition.tids().contains(&pid), "{transition:?}");
    let ended = lpwatch::run(&[&["tasks", "kgr_fix", "--stack"], &at])?;
    ended.expect(&[code::IN_TRANSITION])?;
    for told in ["waiter", &pid.to_string(), "_pause"] {
        ensure!(ended.text().contains(told), "no {told}: {}", ended.text());
    }
    let ended = lpwatch::run(&[&["wait", "kgr_fix", "--timeout", "2s"], &at])?;
    ended.expect(&[code::TIMED_OUT])?;
    ensure!(ended.text().contains("1 of 1"), "{}", ended.text());

    write(tree.path().join(format!("{pid}/kgr_in_progress")), "0\n")?;
    let document = lpwatch::status(&[&["kgr_fix"], &at], &[code::IN_TRANSITION])?;
    let transition = document.transition("kgr_fix")?;
    ensure!(transition.tasks_remaining == Some(0), "{transition:?}");
    sleeper.end()
}

fn tree(pid: i32) -> Result<TempDir> {
    let tree = tempfile::tempdir()?;
    let process = tree.path().join(pid.to_string());
    let task = process.join(format!("task/{pid}"));
    fs::create_dir_all(&task)?;
    let real = Path::new("/proc").join(pid.to_string());
    fs::write(process.join("stat"), fs::read(real.join("stat"))?)?;
    for name in ["stat", "stack", "status"] {
        fs::write(task.join(name), fs::read(real.join(name))?)?;
    }
    fs::write(process.join("kgr_in_progress"), "1\n")?;
    Ok(tree)
}
