//! Which modules can still be removed after a transition was forced: what lpwatch
//! says before, and what rmmod then does. The table of docs/stuck.md. Each
//! guest is spoilt afterwards.

use std::ffi::CString;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, delete_module};
use serde_json::Value;

use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

/// A module that nothing holds is removed within this.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

const SOON: &[&str] = &["--slow-after", "1s", "--stall-after", "2s"];

/// Another patch that is loaded meanwhile, and completely.
const BESIDE: &str = "lp_cmdline";

/// What lpwatch says that will be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    This,
    Replaced,
    AllLoaded,
}

/// While patching, and then while another one is unpatching.
pub fn run(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(SOON)?;
    std::mem::forget(Patch::load_completely(BESIDE)?);
    std::mem::forget(Module::load("lpwatch_target")?);
    let stall = std::mem::ManuallyDrop::new(Patch::load("lp_stall")?);
    stall.wait_left(Code::Old, 1)?;
    let said = said("lp_stall")?;
    stall.force()?;
    stall.wait_complete()?;
    stall.disable()?;
    stall.wait_gone()?;
    let expected = match said {
        Kept::Nothing => false,
        Kept::AllLoaded => true,
        Kept::This | Kept::Replaced => anyhow::bail!("while patching it says {said:?}"),
    };
    is_kept("lp_stall", expected)?;
    disable(BESIDE)?;
    is_kept(BESIDE, expected)?;
    trial.say(&format!("forced while patching: {said:?}"));
    unpatching(trial)
}

fn unpatching(trial: &mut Trial) -> Result<()> {
    let patch = std::mem::ManuallyDrop::new(Patch::load_completely("lp_sleepers")?);
    let sleeper = Sleeper::start()?;
    patch.disable()?;
    patch.wait_left(Code::New, 1)?;
    let said = said("lp_sleepers")?;
    ensure!(
        matches!(said, Kept::This | Kept::AllLoaded),
        "while unpatching it says {said:?}"
    );
    patch.force()?;
    patch.wait_gone()?;
    sleeper.end()?;
    is_kept("lp_sleepers", true)?;
    trial.say(&format!("forced while unpatching: {said:?}"));
    Ok(())
}

/// A patch that replaces one in which a task sleeps.
pub fn replaced(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(SOON)?;
    std::mem::forget(Patch::load_completely("lp_sleepers")?);
    let sleeper = Sleeper::start()?;
    let patch = std::mem::ManuallyDrop::new(Patch::load("lp_replace")?);
    patch.wait_left(Code::Old, 1)?;
    let said = said("lp_replace")?;
    patch.force()?;
    patch.wait_complete()?;
    sleeper.end()?;
    is_kept("lp_sleepers", true)?;
    patch.disable()?;
    patch.wait_gone()?;
    match said {
        Kept::Replaced => is_kept("lp_replace", false)?,
        Kept::AllLoaded => is_kept("lp_replace", true)?,
        Kept::Nothing | Kept::This => anyhow::bail!("of a replace patch it says {said:?}"),
    }
    trial.say(&format!("a replace patch, forced: {said:?}"));
    Ok(())
}

/// The last thing that lpwatch advises once the transition is stalled.
fn said(patch: &str) -> Result<Kept> {
    guest::wait_for("lpwatch calls the transition stalled", || {
        let ended = lpwatch::run(&[&["status", patch, "-o", "json"]])?;
        ended.expect(&[code::IN_TRANSITION, code::STALLED])?;
        let document: Value = serde_json::from_slice(&ended.stdout)?;
        let transition = &document["patches"][0]["transition"];
        if transition["phase"] != "stalled" {
            return Ok(None);
        }
        let next = transition["next"].as_array().context("no next steps")?;
        let mut steps = next.iter().filter_map(Value::as_str);
        let force = steps.find(|step| step.contains("Do not force"));
        kept(force.context("no word about force")?).map(Some)
    })
}

fn kept(sentence: &str) -> Result<Kept> {
    let cases = [
        ("no module of a loaded patch", Kept::AllLoaded),
        ("the patch's module can never", Kept::This),
        (
            "the modules of the patches that it replaces",
            Kept::Replaced,
        ),
        ("lose data or crash the kernel", Kept::Nothing),
    ];
    let found = cases.iter().find(|(words, _)| sentence.contains(words));
    found
        .map(|(_, kept)| *kept)
        .with_context(|| format!("not a word about removing: {sentence}"))
}

fn disable(name: &str) -> Result<()> {
    let path = format!("/sys/kernel/livepatch/{name}");
    std::fs::write(format!("{path}/enabled"), "0").with_context(|| format!("disabling {name}"))?;
    guest::wait_until("the patch is gone from sysfs", || {
        Ok(!std::path::Path::new(&path).exists())
    })
}

/// Whether the kernel keeps the module, for good.
fn is_kept(name: &str, expected: bool) -> Result<()> {
    let c_name = CString::new(name)?;
    let started = std::time::Instant::now();
    let kept = loop {
        match delete_module(&c_name, DeleteModuleFlags::O_NONBLOCK) {
            Ok(()) => break false,
            Err(Errno::EAGAIN) if started.elapsed() > REMOVED_WITHIN => break true,
            Err(Errno::EAGAIN) => std::thread::park_timeout(Duration::from_millis(200)),
            Err(errno) => return Err(errno).with_context(|| format!("removing {name}")),
        }
    };
    ensure!(kept == expected, "{name}: kept is {kept}, not {expected}");
    Ok(())
}
