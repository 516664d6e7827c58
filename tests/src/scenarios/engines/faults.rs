//! Systems that come and go while they are read, two in transition at once, and
//! files that may not be read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Abi, kgraft_in_progress, write};
use crate::guest;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, Running, code};
use crate::restricted;
use crate::sleeper::Sleeper;
use crate::trial::Trial;

/// How often the systems come and go.
const ROUNDS: u32 = 12;

pub fn run(trial: &mut Trial) -> Result<()> {
    unreadable().context("files that may not be read")?;
    two_at_once().context("two in transition at once")?;
    unloaded(trial).context("unloaded while they are read")
}

/// An ordinary user cannot read how an update of Ksplice stands: that is not
/// known, and neither on nor off.
fn unreadable() -> Result<()> {
    let abi = Abi::load("abi_ksplice")?;
    abi.tell("add k1fix")?;
    write("/sys/kernel/ksplice/k1fix/stage", "applied")?;
    let ordinary = |arguments: &[&[&str]]| {
        Running::start(
            restricted::prefix(&["--uid", "65534"])?,
            &arguments.concat(),
        )?
        .end()
    };
    let ended = ordinary(&[&["status", "-o", "json"], ALONE])?;
    let document = ended.expect(&[code::WELL])?.document()?;
    ensure!(document.patch("k1fix")?.enabled.is_none(), "{document:?}");
    let ended = ordinary(&[&["status"], ALONE])?;
    ended.expect(&[code::WELL])?;
    let text = ended.all_text();
    ensure!(text.contains("unknown whether"), "{text}");
    ensure!(text.contains("run as root"), "{text}");
    let document = lpwatch::look(&[ALONE])?;
    ensure!(
        document.patch("k1fix")?.enabled == Some(true),
        "{document:?}"
    );
    Ok(())
}

/// Each is told as it is, and each ends for itself.
fn two_at_once() -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let sleeper = Sleeper::named(b"waiter")?;
    let pid = sleeper.pid()?;
    let _kgraft = kgraft_in_progress()?;
    let ksplice = Abi::load("abi_ksplice")?;
    ksplice.tell("add k1fix")?;
    ksplice.tell(&format!("conflict k1fix waiter {pid} do_wait"))?;
    guest::wait_until("both are in transition", || {
        let document = lpwatch::poll()?;
        let moves = |name| {
            document
                .find(name)
                .is_some_and(|one| one.transition.is_some())
        };
        Ok(moves("kgr_fix") && moves("k1fix"))
    })?;
    for flags in [&[][..], ALONE_NO_BPF] {
        let ended = lpwatch::run(&[&["tasks"], flags])?;
        ended.expect(&[code::IN_TRANSITION, code::STALLED])?;
        for name in ["kgr_fix", "k1fix"] {
            ensure!(
                ended.text().contains(name),
                "no {name}, {flags:?}: {}",
                ended.text()
            );
        }
    }
    let waiting = Running::lpwatch(&["wait", "k1fix"])?;
    ksplice.tell("clear k1fix")?;
    write("/sys/kernel/ksplice/k1fix/stage", "applied")?;
    daemon.wait_outcome("k1fix", "patching", "completed")?;
    waiting.end()?.expect(&[code::WELL])?;
    let document = lpwatch::look(&[])?;
    ensure!(
        document.patch("kgr_fix")?.transition.is_some(),
        "{document:?}"
    );
    let ended = lpwatch::run(&[&["wait", "kgr_fix", "--timeout", "2s"]])?;
    ended.expect(&[code::TIMED_OUT])?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Their modules come and go under readers and a daemon: nobody falls over it.
fn unloaded(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let over = AtomicBool::new(false);
    let looks = thread::scope(|scope| {
        let commands = [
            &["status"][..],
            &["tasks"],
            &["patches", "--no-tools"],
            &["status", "--no-daemon", "--no-bpf"],
            &["tasks", "--no-daemon", "--no-bpf"],
        ];
        let over = &over;
        let readers: Vec<_> = commands
            .into_iter()
            .map(|command| scope.spawn(move || read_until(over, command)))
            .collect();
        let came_and_went = (0..ROUNDS).try_for_each(|_| come_and_go());
        over.store(true, Ordering::Relaxed);
        let mut looks = 0;
        for reader in readers {
            match reader.join() {
                Ok(count) => looks += count?,
                Err(_) => bail!("a reader panicked"),
            }
        }
        came_and_went.map(|()| looks)
    })?;
    trial.figure("looks", looks);
    guest::wait_until("the daemon shows that they are gone", || {
        Ok(lpwatch::poll()?.patches.is_empty())
    })?;
    ensure!(
        lpwatch::look(&[ALONE_NO_BPF])?.patches.is_empty(),
        "still there"
    );
    for command in ["status", "tasks"] {
        lpwatch::run(&[&[command]])?.expect(&[code::WELL])?;
    }
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn come_and_go() -> Result<()> {
    let kgraft = kgraft_in_progress()?;
    let ksplice = Abi::load("abi_ksplice")?;
    ksplice.tell("add k1fix")?;
    ksplice.tell("conflict k1fix init 1 do_wait")?;
    let kpatch = Abi::load("abi_kpatch")?;
    kpatch.tell("add kpatch_fix vmlinux meminfo_proc_show 1 0x1000 0x2000")?;
    let openeuler = Abi::load("abi_openeuler")?;
    openeuler.tell("add klp_fix")?;
    let kcare = Abi::load("abi_kcare")?;
    kcare.tell("cve CVE-2021-3656")?;
    thread::sleep(Duration::from_millis(300));
    drop((kgraft, ksplice, kpatch, openeuler, kcare));
    Ok(())
}

/// How often it looked.
fn read_until(over: &AtomicBool, command: &[&str]) -> Result<usize> {
    let mut looks = 0;
    while !over.load(Ordering::Relaxed) {
        let ended = lpwatch::run(&[command])?;
        ended.expect(&[code::WELL, code::IN_TRANSITION, code::STALLED])?;
        looks += 1;
    }
    Ok(looks)
}
