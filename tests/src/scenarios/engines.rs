//! Patching systems beside livepatch, each through its life. They run on no kernel
//! of today: modules of ours (tests/modules/abi_*.c) have their files.

mod faults;
mod kernelcare;
mod kgraft;
mod kpatch;
mod ksplice;
mod openeuler;
mod stand;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::contract::{Document, Past};
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::scrape::Scrape;
use crate::trial::Trial;

pub use faults::run as faults;
pub use kernelcare::run as kernelcare;
pub use kgraft::run as kgraft;
pub use kpatch::run as kpatch;
pub use ksplice::run as ksplice;
pub use openeuler::run as openeuler;

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
        let document = lpwatch::poll()?;
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
    undecided("kpatch_fix")?;

    drop((kgraft, kpatch));
    let document = lpwatch::look(&[])?;
    ensure!(document.patches.len() == 1, "{document:?}");
    stall.disable()?;
    stall.wait_gone()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// `lpwatch patches -o json`.
fn inventory(flags: &[&str]) -> Result<Value> {
    let ended = lpwatch::run(&[&["patches", "-o", "json"], flags])?;
    ended.expect(&[code::WELL])?;
    Ok(serde_json::from_slice(&ended.stdout)?)
}

/// What `lpwatch patches` lists.
fn listed(expected: &[&str]) -> Result<()> {
    let inventory = inventory(&["--no-tools"])?;
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

/// Two systems have its function: whose code runs no file tells, and lpwatch says so.
fn undecided(patch: &str) -> Result<()> {
    let inventory = inventory(&["--no-tools"])?;
    let mut patches = inventory["patches"].as_array().into_iter().flatten();
    let found = patches.find(|one| one["name"] == patch);
    let function = &found.context("not listed")?["objects"][0]["functions"][0];
    let why = function["not_decided"].as_str().unwrap_or_default();
    ensure!(
        function["wins"].is_null() && why.contains("by ftrace"),
        "{function}"
    );
    let text = lpwatch::run(&[&["patches", "--no-tools"]])?.text();
    ensure!(text.contains("It is unknown which code runs"), "{text}");
    Ok(())
}

/// The number of this counter; 0 where it has never counted.
fn counted(direction: &str, outcome: &str) -> Result<f64> {
    let series =
        format!("lpwatch_transitions_total{{direction=\"{direction}\",outcome=\"{outcome}\"}}");
    Ok(Scrape::now()?.find(&series).unwrap_or_default())
}

/// Waits until a refusal by this engine is told, in words that have all of these;
/// it is counted then.
fn wait_refused(engine: &str, words: &[&str]) -> Result<()> {
    guest::wait_until(&format!("{engine}'s refusal is told"), || {
        let document = lpwatch::poll()?;
        let mut past = document.last_transitions.iter();
        Ok(past.any(|past| {
            let why = past.why();
            past.engine.as_deref() == Some(engine)
                && past.outcome == "refused"
                && words.iter().all(|word| why.contains(word))
        }))
    })?;
    ensure!(counted("patching", "refused")? > 0.5, "not counted");
    Ok(())
}

fn last<'a>(document: &'a Document, patch: &str) -> Result<&'a Past> {
    document
        .last(patch)
        .with_context(|| format!("nothing ended of {patch}"))
}
