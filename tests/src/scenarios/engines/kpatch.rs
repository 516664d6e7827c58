//! kpatch's core: applied at once, refused because a function was in use, disabled.

use anyhow::{Result, ensure};

use super::stand::Stand;
use super::{Abi, counted, write};
use crate::guest;
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
    guest::wait_until("the refusal is told, with the task in the way", || {
        let document = lpwatch::look(&[])?;
        let mut past = document.last_transitions.iter();
        Ok(past.any(|past| {
            let why = past.message.as_deref().unwrap_or_default();
            past.engine.as_deref() == Some("kpatch")
                && past.outcome == "refused"
                && why.contains("tcp_sendmsg")
                && why.contains("worker (pid 42)")
        }))
    })?;
    ensure!(counted("patching", "refused")? > 0.5, "not counted");
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
