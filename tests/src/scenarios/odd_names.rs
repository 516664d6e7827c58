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
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;

    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how, PATIENT], &[code::IN_TRANSITION])?;
        let blockers = &document.transition("lp_sleepers")?.blockers;
        let blocker = blockers.first().context("no blocker is shown")?;
        ensure!(blocker.tid == sleeper.pid()?, "{blocker:?}");
        ensure!(!blocker.kthread, "taken for a kernel thread: {blocker:?}");
        ensure!(
            blocker.comm.starts_with('a'),
            "comm {:?} with {how:?}",
            blocker.comm
        );

        let table = lpwatch::run(&[&["status", "--color", "never"], how, PATIENT])?;
        table.expect(&[code::IN_TRANSITION])?;
        let text = std::str::from_utf8(&table.stdout).context("the table is no UTF-8")?;
        let raw = text.chars().find(|&c| c.is_control() && c != '\n');
        ensure!(raw.is_none(), "{raw:?} in the table: {text:?}");
        ensure!(
            text.contains(&blocker.tid.to_string()),
            "no such task in {text:?}"
        );
    }
    Ok(())
}
