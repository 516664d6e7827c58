//! Tasks that wait for something which has a name: a work item that does not end,
//! and the parent of a vfork.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::blockers::Look;
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::predictions::{Happened, SHORT, agreeing_row, check};
use crate::reasons::{ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

const PATCH: &str = "lp_work";
const ITEM: &str = "lpwatch_work_item";
const QUEUE: &str = "+lpwatch_wq";

pub fn run(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let work = Module::load("lpwatch_work")?;
    let parent = Actor::start(&["vfork"])?;
    parent.wait_in("kernel_clone")?;
    let (worker, tid, child) = (worker()?, parent.pid()?, child_of(parent.pid()?)?);

    let report = check(PATCH, SHORT)?;
    report.finding("will_block", "danger", &["Work items", ITEM, QUEUE])?;
    let named = format!("waits for its vfork child {} ({child})", name(child)?);
    report.finding("will_block", "warning", &["kernel_clone", &named])?;
    let never: Vec<i32> = report.forecast.never.iter().map(|task| task.tid).collect();
    let later: Vec<i32> = report.forecast.later.iter().map(|task| task.tid).collect();
    ensure!(
        (&never[..], &later[..]) == (&[worker][..], &[tid][..]),
        "{report:?}"
    );

    let loaded = Instant::now();
    let patch = Patch::load(PATCH)?;
    let left = patch.wait_left(Code::Old, 2)?;
    ensure!(left == BTreeSet::from([worker, tid]), "left are {left:?}");
    let happened = Happened::Left {
        tids: left.clone(),
        signalled: false,
        seconds: loaded.elapsed().as_secs_f64(),
    };
    let case = "lp_work (lpwatch_work and the parent of a vfork)";
    agreeing_row(trial, case, &report, &happened)?;
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    for look in comparison.run(&mut oracle, ALL_WAYS, &left)? {
        of_worker(&look, worker)?;
        of_parent(trial, &look, tid, child)?;
    }
    comparison.conclude(trial)?;
    explained(trial, worker)?;

    // What was said to free them does.
    drop(parent);
    patch.wait_left(Code::Old, 1)?;
    work.unload()?;
    patch.wait_complete()?;
    patch.remove()
}

fn of_worker(look: &Look, worker: i32) -> Result<()> {
    let found = look.of(worker)?;
    let reason = found.reason.as_deref() == Some("sleeping_on_function");
    let kind = found.kind.as_deref() == Some("kworker");
    ensure!(reason && kind, "{found:?}");
    ensure!(found.comm.ends_with(QUEUE), "no workqueue: {found:?}");
    let advice = found.advice.as_deref().context("no advice")?;
    let item = format!("its work item {ITEM} of workqueue lpwatch_wq has left");
    ensure!(advice.contains(&item), "{advice}");
    Ok(())
}

fn of_parent(trial: &mut Trial, look: &Look, tid: i32, child: i32) -> Result<()> {
    let found = look.of(tid)?;
    let reason = found.reason.as_deref() == Some("uninterruptible");
    ensure!(reason && found.state == Some('D'), "{found:?}");
    let awaited = found.vfork_child.as_ref().context("no child is named")?;
    ensure!(
        awaited.pid == child && awaited.comm == name(child)?,
        "{found:?}"
    );
    let advice = found.advice.as_deref().context("no advice")?;
    let awaited = format!("child {} (pid {child})", name(child)?);
    ensure!(advice.contains(&awaited), "{advice}");
    trial.say(&format!("[{}] {advice}", look.how));
    Ok(())
}

/// One voice: what a kernel thread of a workqueue does is said of its work.
fn explained(trial: &mut Trial, worker: i32) -> Result<()> {
    let tid = worker.to_string();
    let ended = lpwatch::run(&[&["explain", &tid]])?;
    let text = ended.expect(&[code::IN_TRANSITION])?.text();
    trial.say(text.trim_end());
    ensure!(
        text.contains(QUEUE) && !text.contains("main function"),
        "{text}"
    );
    Ok(())
}

/// The worker that runs the work item.
fn worker() -> Result<i32> {
    guest::wait_for("a worker runs the work item", || {
        for name in guest::names_in("/proc".as_ref()) {
            let Ok(tid) = name.parse() else { continue };
            let stack = fs::read_to_string(format!("/proc/{tid}/stack"));
            if stack.is_ok_and(|stack| stack.contains(ITEM)) {
                return Ok(Some(tid));
            }
        }
        Ok(None)
    })
}

fn child_of(parent: i32) -> Result<i32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    Ok(children.trim().parse()?)
}

fn name(pid: i32) -> Result<String> {
    Ok(fs::read_to_string(format!("/proc/{pid}/comm"))?
        .trim_end()
        .to_owned())
}
