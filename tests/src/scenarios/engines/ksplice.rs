//! Ksplice: held up by a task, stalled, given up, applied, not to be reversed,
//! reversed.

use anyhow::{Result, ensure};

use super::stand::Stand;
use super::{Abi, counted, last, write};
use crate::guest;
use crate::lpwatch::{self, ALONE_NO_BPF, Daemon, code};
use crate::sleeper::Sleeper;
use crate::trial::Trial;

const STAGE: &str = "/sys/kernel/ksplice/k1fix/stage";

const STAND: Stand<'static> = Stand {
    patch: "k1fix",
    engine: "ksplice",
    enabled: false,
    direction: None,
    stalled: false,
    refused: false,
};

pub fn run(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&["--slow-after", "2s", "--stall-after", "4s"])?;
    let sleeper = Sleeper::named(b"waiter")?;
    let pid = sleeper.pid()?;
    let abi = Abi::load("abi_ksplice")?;
    abi.tell("add k1fix")?;
    guest::wait_until("it is listed", || {
        Ok(lpwatch::poll()?.find("k1fix").is_some())
    })?;
    STAND.check()?;

    let conflict = format!("conflict k1fix waiter {pid} do_wait sys_wait4");
    abi.tell(&conflict)?;
    held_up(pid)?;
    given_up(&daemon)?;

    abi.tell("clear k1fix")?;
    write(STAGE, "applied")?;
    daemon.wait_outcome("k1fix", "patching", "completed")?;
    let applied = Stand {
        enabled: true,
        ..STAND
    };
    applied.check()?;

    // Nor is it reversed while a task is in the way: it stays in force.
    abi.tell(&conflict)?;
    write(STAGE, "reversed")?;
    daemon.wait_outcome("k1fix", "unpatching", "refused")?;
    let stays = Stand {
        refused: true,
        ..applied
    };
    stays.check()?;
    ensure!(counted("unpatching", "refused")? > 0.5, "not counted");
    abi.tell("clear k1fix")?;
    write(STAGE, "reversed")?;
    daemon.wait_outcome("k1fix", "unpatching", "completed")?;
    STAND.check()?;
    ensure!(counted("unpatching", "completed")? > 0.5, "not counted");
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn held_up(pid: i32) -> Result<()> {
    guest::wait_until("the task in the way is told", || {
        let document = lpwatch::poll()?;
        let patch = document.find("k1fix");
        let Some(transition) = patch.and_then(|one| one.transition.as_ref()) else {
            return Ok(false);
        };
        let is_stalled = transition.phase.as_deref() == Some("stalled");
        Ok(is_stalled && transition.blockers.iter().any(|one| one.tid == pid))
    })?;
    let tried = Stand {
        enabled: true,
        direction: Some("patching"),
        stalled: true,
        ..STAND
    };
    let scrape = tried.check()?;
    scrape.expect(
        "lpwatch_transition_tasks{code=\"old\",patch=\"k1fix\"}",
        1.0,
    )?;
    // How many have not been in its way Ksplice does not tell.
    scrape.has_no("lpwatch_transition_tasks{code=\"new\",patch=\"k1fix\"}")?;
    scrape.expect(
        "lpwatch_transition_blocked_tasks{patch=\"k1fix\",reason=\"sleeping_on_function\"}",
        1.0,
    )?;
    for flags in [&[][..], ALONE_NO_BPF] {
        let text = lpwatch::run(&[&["tasks", "k1fix"], flags])?.text();
        ensure!(text.contains("do_wait"), "no function in: {text}");
    }
    Ok(())
}

/// Ksplice tries, and gives up.
fn given_up(daemon: &Daemon) -> Result<()> {
    write(STAGE, "applied")?;
    let document = daemon.wait_outcome("k1fix", "patching", "refused")?;
    let why = last(&document, "k1fix")?.why();
    ensure!(why.contains("code_busy"), "not why: {why:?}");
    let failure = document.patch("k1fix")?.refusal.as_ref();
    ensure!(
        failure.is_some_and(|why| why.text().contains("code_busy")),
        "{failure:?}"
    );
    let refused = Stand {
        refused: true,
        ..STAND
    };
    refused.check()?;
    // Its files say so to whoever has not seen it happen, too.
    for command in ["status", "tasks", "wait"] {
        let ended = lpwatch::run(&[&[command, "k1fix"], ALONE_NO_BPF])?;
        ended.expect(&[code::REVERSED])?;
    }
    ensure!(counted("patching", "refused")? > 0.5, "not counted");
    Ok(())
}
