//! Patching systems beside livepatch, each through its life. They run on no kernel
//! of today: modules of ours (tests/modules/abi_*.c) have their files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::contract::{Document, Past};
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::trial::Trial;

/// A module that has a system's files, and takes commands.
struct Abi {
    name: &'static str,
    _module: Module,
}

impl Abi {
    fn load(name: &'static str) -> Result<Self> {
        let module = Module::load(name)?;
        Ok(Self {
            name,
            _module: module,
        })
    }

    fn tell(&self, command: &str) -> Result<()> {
        let file = format!("/sys/module/{}/parameters/control", self.name);
        fs::write(&file, command).with_context(|| format!("{}: {command}", self.name))
    }
}

fn write(file: impl AsRef<Path>, text: &str) -> Result<()> {
    let file = file.as_ref();
    fs::write(file, text).with_context(|| format!("writing {text} to {}", file.display()))
}

/// A kGraft patch of one function, being applied.
fn kgraft_in_progress() -> Result<Abi> {
    let abi = Abi::load("abi_kgraft")?;
    abi.tell("add kgr_fix meminfo_proc_show vmlinux 1")?;
    abi.tell("say kgr: applying patch 'kgr_fix'")?;
    abi.tell("states kgr_fix 1")?;
    abi.tell("in_progress 1")?;
    Ok(abi)
}

/// Livepatch, kpatch's core and kGraft on one host: each as it is, by the daemon
/// and without one.
pub fn at_once(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    let kpatch = Abi::load("abi_kpatch")?;
    kpatch.tell("add kpatch_fix vmlinux meminfo_proc_show 1 0x1000 0x2000")?;
    let kgraft = kgraft_in_progress()?;
    let shows_all = |document: &Document| -> Result<()> {
        let names = |engine: &str| -> Vec<&str> {
            let own = document.patches.iter().filter(|one| one.engine == engine);
            own.map(|one| one.name.as_str()).collect()
        };
        ensure!(names("livepatch") == ["lp_stall"], "{document:?}");
        ensure!(names("kpatch") == ["kpatch_fix"], "{document:?}");
        ensure!(names("kgraft") == ["kgr_fix"], "{document:?}");
        let kpatch = document.patch("kpatch_fix")?;
        ensure!(
            kpatch.enabled == Some(true) && kpatch.transition.is_none(),
            "{kpatch:?}"
        );
        let kgraft = document.transition("kgr_fix")?;
        ensure!(kgraft.direction == "patching", "{kgraft:?}");
        // No module can make the file that tells whom kGraft has left.
        ensure!(
            kgraft.tasks_remaining.is_none() && kgraft.blockers.is_empty(),
            "{kgraft:?}"
        );
        Ok(())
    };
    guest::wait_until("lp_stall waits for its last task", || {
        let document = lpwatch::look(&[])?;
        let transition = document.patch("lp_stall")?.transition.as_ref();
        Ok(transition.is_some_and(|transition| transition.tasks_remaining == Some(1)))
    })?;
    for flags in [&[][..], &["--no-daemon"], &["--no-daemon", "--no-bpf"]] {
        let document = lpwatch::look(&[flags])?;
        shows_all(&document).with_context(|| format!("{flags:?}"))?;
        ensure!(
            document.transition("lp_stall")?.tasks_remaining == Some(1),
            "{flags:?}: {document:?}"
        );
    }
    listed(&["lp_stall", "kpatch_fix", "kgr_fix"])?;

    drop((kgraft, kpatch));
    let document = lpwatch::look(&[])?;
    ensure!(document.patches.len() == 1, "{document:?}");
    stall.disable()?;
    stall.wait_gone()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// What `lpwatch patches` lists.
fn listed(expected: &[&str]) -> Result<()> {
    let ended = lpwatch::run(&[&["patches", "-o", "json", "--no-tools"]])?;
    ended.expect(&[code::WELL])?;
    let inventory: Value = serde_json::from_slice(&ended.stdout)?;
    let patches = inventory["patches"].as_array().context("no patches")?;
    for name in expected {
        let is_it = |patch: &&Value| patch["name"] == *name;
        ensure!(
            patches.iter().any(|patch| is_it(&patch)),
            "no {name}: {inventory}"
        );
    }
    Ok(())
}

/// Applied with a stall, reversed, forced.
pub fn kgraft(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&["--slow-after", "2s", "--stall-after", "4s"])?;
    let abi = kgraft_in_progress()?;
    guest::wait_until("kGraft is told to be stalled", || {
        let ended = lpwatch::run(&[&["status", "-o", "json"]])?;
        let document = ended.document()?;
        let Some(kgraft) = document.find("kgr_fix") else {
            return Ok(false);
        };
        let phase = kgraft
            .transition
            .as_ref()
            .and_then(|one| one.phase.as_deref());
        if phase == Some("stalled") {
            ended.expect(&[code::STALLED])?;
        }
        Ok(phase == Some("stalled"))
    })?;
    abi.tell("say kgr still in progress after timeout (30)")?;
    abi.tell("states kgr_fix 2")?;
    abi.tell("in_progress 0")?;
    abi.tell("say kgr succeeded")?;
    let document = daemon.wait_outcome("kgr_fix", "patching", "completed")?;
    let past = last(&document, "kgr_fix")?;
    ensure!(past.engine.as_deref() == Some("kgraft"), "{past:?}");
    ensure!(past.tries == Some(1), "{past:?}");

    // Taken back, which the administrator forces.
    write("/sys/kernel/kgraft/kgr_fix/revert", "1")?;
    guest::wait_until("its way back is seen", || {
        let document = lpwatch::look(&[])?;
        let transition = document.patch("kgr_fix")?.transition.as_ref();
        Ok(transition.is_some_and(|one| one.direction == "unpatching"))
    })?;
    write("/sys/kernel/kgraft/in_progress", "0")?;
    daemon.wait_outcome("kgr_fix", "unpatching", "forced")?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Held up by a task, given up, applied, reversed.
pub fn ksplice(_: &mut Trial) -> Result<()> {
    const STAGE: &str = "/sys/kernel/ksplice/k1fix/stage";
    let daemon = Daemon::start(&[])?;
    let sleeper = Sleeper::named(b"waiter")?;
    let pid = sleeper.pid()?;
    let abi = Abi::load("abi_ksplice")?;
    abi.tell("add k1fix")?;
    abi.tell(&format!("conflict k1fix waiter {pid} do_wait sys_wait4"))?;
    guest::wait_until("the task in the way is told", || {
        let document = lpwatch::look(&[])?;
        let Some(transition) = document
            .find("k1fix")
            .and_then(|one| one.transition.as_ref())
        else {
            return Ok(false);
        };
        Ok(transition.blockers.iter().any(|one| one.tid == pid))
    })?;
    let text = lpwatch::run(&[&["tasks", "k1fix"]])?.text();
    ensure!(text.contains("do_wait"), "no function in: {text}");

    // Ksplice tries, and gives up.
    write(STAGE, "applied")?;
    let document = daemon.wait_outcome("k1fix", "patching", "refused")?;
    let why = last(&document, "k1fix")?
        .message
        .clone()
        .unwrap_or_default();
    ensure!(why.contains("code_busy"), "not why: {why}");
    let failure = &document.patch("k1fix")?.failure;
    ensure!(
        failure
            .as_ref()
            .is_some_and(|why| why.contains("code_busy")),
        "{failure:?}"
    );

    abi.tell("clear k1fix")?;
    write(STAGE, "applied")?;
    daemon.wait_outcome("k1fix", "patching", "completed")?;
    write(STAGE, "reversed")?;
    daemon.wait_outcome("k1fix", "unpatching", "completed")?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Applied at once, refused because a function was in use, disabled.
pub fn kpatch(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let abi = Abi::load("abi_kpatch")?;
    abi.tell("add kpatch_base vmlinux gcd 1 0x1000 0x2000")?;
    guest::wait_until("the first patch is listed", || {
        Ok(lpwatch::look(&[])?.find("kpatch_base").is_some())
    })?;
    abi.tell("add kpatch_fix vmlinux meminfo_proc_show 1 0x1000 0x2000")?;
    daemon.wait_outcome("kpatch_fix", "patching", "completed")?;

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
    write("/sys/kernel/kpatch/kpatch_fix/enabled", "0")?;
    daemon.wait_outcome("kpatch_fix", "unpatching", "completed")?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn last<'a>(document: &'a Document, patch: &str) -> Result<&'a Past> {
    document
        .last(patch)
        .with_context(|| format!("nothing ended of {patch}"))
}
