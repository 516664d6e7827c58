//! kpatch's core: applied at once, refused because a function was in use, disabled.

use anyhow::{Result, ensure};

use super::stand::Stand;
use super::{Abi, counted, wait_refused, write};
use crate::lpwatch::{self, Daemon, code};
use crate::trial::Trial;

const STAND: Stand<'static> = Stand {
    patch: "kpatch_fix",
    engine: "kpatch",
    enabled: true,
    direction: None,
    stalled: false,
    refused: false,
};

pub fn run(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let abi = Abi::load("abi_kpatch")?;
    abi.tell("add kpatch_fix vmlinux meminfo_proc_show 1 0x1000 0x2000")?;
    daemon.wait_outcome("kpatch_fix", "patching", "completed")?;
    let scrape = STAND.check()?;
    // It has no progress to tell of.
    scrape.has_no("lpwatch_transition_tasks{")?;
    scrape.has_no("lpwatch_transition_age_seconds{")?;
    ensure!(counted("patching", "completed")? > 0.5, "not counted");

    abi.tell("say kpatch: activeness safety check failed for tcp_sendmsg")?;
    abi.tell("say kpatch: PID: 42 Comm: worker")?;
    // With the task in the way.
    wait_refused("kpatch", &["tcp_sendmsg", "worker (pid 42)"])?;
    // Its patch is nowhere, and the log does not name it.
    for command in ["status", "tasks", "wait"] {
        lpwatch::run(&[&[command, "kpatch_new"]])?.expect(&[code::ERROR])?;
    }
    STAND.check()?;

    write("/sys/kernel/kpatch/kpatch_fix/enabled", "0")?;
    daemon.wait_outcome("kpatch_fix", "unpatching", "completed")?;
    let disabled = Stand {
        enabled: false,
        ..STAND
    };
    disabled.check()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}
