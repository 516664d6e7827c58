//! Workers of `io_uring`: they never return to user space, so what frees a user
//! task does not free them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::blockers::Look;
use crate::guest;
use crate::lpwatch::{Daemon, PATIENT};
use crate::oracle::Oracle;
use crate::patch::{self, Patch};
use crate::predictions::{Happened, SHORT, Task, agreeing_row, check, row};
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

const FIFO_OPEN: &str = "fifo_open";

/// The kernel tries once a second.
const SOME_TRIES: Duration = Duration::from_secs(8);

/// The kernel's signal wakes one that sleeps in a request, which then fails; one in
/// its main function stays until its process ends.
pub fn run(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    in_a_request(trial)?;
    in_main_function(trial)
}

fn in_a_request(trial: &mut Trial) -> Result<()> {
    let mut oracle = Oracle::listen()?;
    let mut actor = Actor::start(&["uring"])?;
    let worker = worker(&actor)?;
    let report = check("lp_fifo", SHORT)?;
    report.finding("will_block", "warning", &["request", "fails", FIFO_OPEN])?;
    ensure!(
        foretold(&report.forecast.after_signal, worker),
        "not after the signal: {report:?}"
    );
    let loaded = Instant::now();
    let patch = Patch::load("lp_fifo")?;
    let left = patch.wait_left(Code::Old, 1)?;
    ensure!(
        left == BTreeSet::from([worker]),
        "others are left: {left:?}"
    );
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &left)?;
    reasons::expect(&looks, &left, "sleeping_on_function", FIFO_OPEN)?;
    for look in &looks {
        advises(
            look,
            worker,
            "user_worker",
            &["request", "fails"],
            &["user space"],
        )?;
    }
    let result = actor.next_words()?;
    let case = "lp_fifo (a worker of io_uring in a request)";
    let failed = Instant::now();
    if guest::kernel_series()? == "5.10" && !completes_soon(&patch) {
        // Its signal stays pending until it has switched, so it never sleeps again,
        // and the kernel rarely finds it off its CPU.
        let left = format!(
            "the request failed at the signal; 1 left {:.0} s later, until its process ended",
            failed.elapsed().as_secs_f64()
        );
        drop(actor);
        patch.wait_complete()?;
        let why = "no: the worker never sleeps again, and is rarely found off its CPU";
        row(trial, case, &report.words(), &left, why)?;
    } else {
        patch.wait_complete()?;
        let happened = Happened::Completed {
            signalled: true,
            seconds: loaded.elapsed().as_secs_f64(),
        };
        agreeing_row(trial, case, &report, &happened)?;
    }
    trial.say(&format!("the request ended: {}", result.trim()));
    ensure!(
        ["result -4", "result -512"].contains(&result.trim()),
        "the request did not fail as foretold: {result}"
    );
    comparison.conclude(trial)?;
    patch.remove()
}

/// Whether the transition completes within some of the kernel's tries.
fn completes_soon(patch: &Patch) -> bool {
    guest::wait_at_most(SOME_TRIES, "the worker switches", || {
        let is_open = patch::transition(&patch.name)? == Some(true);
        Ok((!is_open).then_some(()))
    })
    .is_ok()
}

fn in_main_function(trial: &mut Trial) -> Result<()> {
    let mut oracle = Oracle::listen()?;
    let actor = Actor::start(&["uring"])?;
    let worker = worker(&actor)?;
    let report = check("lp_iowq", SHORT)?;
    ensure!(report.forecast.outcome == "stalls", "it stalls: {report:?}");
    ensure!(
        foretold(&report.forecast.never, worker),
        "not among those that never switch: {report:?}"
    );
    let loaded = Instant::now();
    let patch = Patch::load("lp_iowq")?;
    guest::wait_until("the worker is left", || {
        Ok(crate::tasks::running(Code::Old).contains(&worker))
    })?;
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &BTreeSet::from([worker]))?;
    let happened = Happened::Left {
        tids: crate::tasks::running(Code::Old),
        signalled: false,
        seconds: loaded.elapsed().as_secs_f64(),
    };
    let case = "lp_iowq (a worker of io_uring)";
    agreeing_row(trial, case, &report, &happened)?;
    for look in &looks {
        advises(
            look,
            worker,
            "user_worker",
            &["does not leave", "reverse"],
            &["Wait"],
        )?;
    }
    comparison.conclude(trial)?;
    // What was advised: without its process there is no worker.
    drop(actor);
    patch.wait_complete()?;
    patch.remove()
}

/// The task that opens the FIFO for the actor.
fn worker(actor: &Actor) -> Result<i32> {
    guest::wait_for("a worker sleeps in the open of a FIFO", || {
        let mut tids = actor.tids();
        tids.extend(
            guest::names_in(Path::new("/proc"))
                .iter()
                .filter_map(|name| name.parse::<i32>().ok()),
        );
        Ok(tids.into_iter().find(|tid| {
            let stack = fs::read_to_string(format!("/proc/{tid}/stack")).unwrap_or_default();
            stack.contains(FIFO_OPEN) && stack.contains("_worker")
        }))
    })
}

fn foretold(tasks: &[Task], tid: i32) -> bool {
    tasks.iter().any(|task| task.tid == tid)
}

/// The advice on the task has all of these words and none of those.
fn advises(look: &Look, tid: i32, kind: &str, words: &[&str], not: &[&str]) -> Result<()> {
    let blocker = look.of(tid)?;
    ensure!(
        blocker.kind.as_deref() == Some(kind),
        "[{}] not {kind}: {blocker:?}",
        look.how
    );
    let advice = blocker.advice.as_deref().context("no advice")?;
    let fits = words.iter().all(|word| advice.contains(word))
        && !not.iter().any(|word| advice.contains(word));
    ensure!(fits, "[{}] {advice}", look.how);
    Ok(())
}
