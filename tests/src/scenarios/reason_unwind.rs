//! Why a task is left: the kernel has no unwind data for the code in which it
//! sleeps.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::blockers::Look;
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::predictions::{self, SHORT, agreeing_row};
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

/// Any patch: the stack blocks it, not its functions.
const ANY: &str = "lp_cmdline";

const MODULE: &str = "lpwatch_blob";

pub fn run(trial: &mut Trial) -> Result<()> {
    check_before(trial)?;

    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let blob = Module::load(MODULE)?;
    let tid = thread()?;
    let tids = BTreeSet::from([tid]);
    let patch = Patch::load(ANY)?;
    ensure!(patch.wait_left(Code::Old, 1)? == tids, "others are left");
    let mut comparison = Comparison::of(ANY, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "no_unwind_data", "")?;
    for look in &looks {
        expect_module(look, tid)?;
    }
    comparison.conclude(trial)?;
    explains(trial, tid)?;
    let text = lpwatch::run(&[&["status"]])?.text();
    trial.say(&text);
    ensure!(!text.contains("Wait"), "it never switches: {text}");

    // What uses the module stops: the transition ends by itself.
    blob.unload()?;
    patch.wait_complete()?;
    patch.remove()
}

/// What is foretold is what happens, with the module and without it.
fn check_before(trial: &mut Trial) -> Result<()> {
    predictions::check(ANY, SHORT)?.silent("wont_switch")?;
    let blob = Module::load(MODULE)?;
    let tid = thread()?;
    let stack = fs::read_to_string(format!("/proc/{tid}/stack"))?;
    trial.say(stack.trim());
    let reader = Actor::start(&["reading", "/proc/lpwatch_blob"])?;
    reader.wait_in("msleep_interruptible")?;
    for how in [&[][..], &["--no-bpf"]] {
        let report = predictions::check(ANY, &[SHORT, how].concat())?;
        let words = [MODULE, "no unwind data"];
        trial.say(&report.finding("wont_switch", "danger", &words)?.text);
        trial.say(&report.forecast.text);
        ensure!(report.forecast.outcome == "stalls", "{report:?}");
        let never: Vec<i32> = report.forecast.never.iter().map(|task| task.tid).collect();
        ensure!(never == [tid], "{report:?}");
        if how.is_empty() {
            let happened = predictions::load(ANY, &report.forecast.outcome)?;
            agreeing_row(trial, "lp_cmdline (lpwatch_blob)", &report, &happened)?;
        }
    }
    drop(reader);
    blob.unload()
}

/// The module's thread, asleep.
fn thread() -> Result<i32> {
    guest::wait_for("the thread sleeps", || {
        let folders = guest::names_in(Path::new("/proc"));
        let mut tids = folders.iter().filter_map(|name| name.parse::<i32>().ok());
        let found = tids.find(|tid| {
            fs::read_to_string(format!("/proc/{tid}/comm")).is_ok_and(|comm| comm.trim() == MODULE)
        });
        let asleep = |tid: &i32| {
            let stack = fs::read_to_string(format!("/proc/{tid}/stack"));
            stack.is_ok_and(|stack| stack.contains(MODULE))
        };
        Ok(found.filter(asleep))
    })
}

/// The frame of the module is shown.
fn expect_module(look: &Look, tid: i32) -> Result<()> {
    let blocker = look.of(tid)?;
    let frame = blocker.blocking_frame.and_then(|at| blocker.stack.get(at));
    let frame = frame.with_context(|| format!("no frame: {blocker:?}"))?;
    let function = blocker.function.as_deref().unwrap_or_default();
    ensure!(
        frame.contains(&format!("[{MODULE}]")) && frame.starts_with(function),
        "[{}] {blocker:?}",
        look.how
    );
    ensure!(function.starts_with(MODULE), "[{}] {blocker:?}", look.how);
    Ok(())
}

/// The text names the module, and never advises to wait.
fn explains(trial: &mut Trial, tid: i32) -> Result<()> {
    for how in ALL_WAYS {
        let ended = lpwatch::run(&[&["explain", &tid.to_string()], how])?;
        let text = ended.expect(&[code::IN_TRANSITION, code::STALLED])?.text();
        trial.say(&text);
        ensure!(
            text.contains("no unwind data") && text.contains(MODULE),
            "explain does not say so: {text}"
        );
        ensure!(!text.contains("Wait"), "it never switches: {text}");
    }
    Ok(())
}
