//! A task whose name is made to break whatever prints it.

use anyhow::{Context, Result, ensure};

use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

/// A line feed, an escape sequence, a byte that is no UTF-8, what /proc puts
/// round a name, quotes, a backslash and a tab: fifteen bytes, as many as fit.
const COMM: &[u8] = b"a\n\x1b[31m\xff) (\"'\\\t";

pub fn run(_: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let sleeper = Sleeper::named(COMM)?;
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let tid = sleeper.pid()?;
        during_transition(|| look_as_json(how, tid))?;
        during_transition(|| look_as_table(how, tid))?;
    }
    Ok(())
}

/// The kernel's signal ends the transition after 15 s: each look has one of its
/// own.
fn during_transition(look: impl FnOnce() -> Result<()>) -> Result<()> {
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    look()
}

fn look_as_json(how: &[&str], tid: i32) -> Result<()> {
    let document = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
    let blockers = &document.transition("lp_sleepers")?.blockers;
    let blocker = blockers.first().context("no blocker is shown")?;
    ensure!(blocker.tid == tid, "{blocker:?}");
    ensure!(!blocker.kthread, "taken for a kernel thread: {blocker:?}");
    ensure!(
        blocker.comm.starts_with('a'),
        "comm {:?} with {how:?}",
        blocker.comm
    );
    Ok(())
}

fn look_as_table(how: &[&str], tid: i32) -> Result<()> {
    let table = lpwatch::run(&[&["status", "--color", "never"], how, PATIENT])?;
    table.expect(&[code::IN_TRANSITION])?;
    let text = std::str::from_utf8(&table.stdout).context("the table is no UTF-8")?;
    let raw = text.chars().find(|&c| c.is_control() && c != '\n');
    ensure!(raw.is_none(), "{raw:?} in the table: {text:?}");
    ensure!(text.contains(&tid.to_string()), "no such task in {text:?}");
    Ok(())
}
