//! A daemon that does not run while transitions begin and end: afterwards it tells each
//! of them once, and says what it did not see.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::guest::{self, Module};
use crate::journal::{Event, History, Journal};
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::scrape::Scrape;
use crate::tasks::Code;
use crate::trial::Trial;

/// Where the daemon keeps its history here.
const DIR: &str = "/run/lpwatch-stopped";

const STALL: &str = "lp_stall";
const EASY: &str = "lp_cmdline";

/// For how many seconds the daemon is stopped at least; `LPWATCH_STOP_SECONDS` is another
/// number. From ten on it must say so.
const STOPPED: u64 = 12;

/// What is read from different files differs by less, in seconds.
const CLOCKS: f64 = 0.1;

pub fn run(trial: &mut Trial) -> Result<()> {
    drop(fs::remove_dir_all(DIR));
    let daemon = Daemon::start(&[PATIENT, &["--history-dir", DIR]].concat())?;
    let told = Journal::begin()?;
    let before = Scrape::now()?.ended("lpwatch_transitions_total");
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load(STALL)?;
    stall.wait_left(Code::Old, 1)?;
    guest::wait_until("the daemon sees the task that is left", || {
        Ok(lpwatch::poll()?.transition(STALL)?.tasks_remaining == Some(1))
    })?;

    daemon.running.signal(Signal::SIGSTOP)?;
    let from = uptime()?;
    happen(trial, stall)?;
    daemon.running.signal(Signal::SIGCONT)?;
    let until = uptime()?;
    trial.figure("stopped_seconds", format!("{:.1}", until - from));

    let interrupted = told.expect("", &["watch_interrupted"])?;
    let interrupted = interrupted
        .iter()
        .find(|event| event.kind == "watch_interrupted");
    let message = &interrupted.context("no event says so")?.message;
    trial.say(message);
    let status = lpwatch::poll()?;
    ensure!(status.notes.contains(message), "status: {:?}", status.notes);
    let events = told.ended(EASY, 2)?;
    check_events(&events, from, until)?;
    check_history(until - from)?;
    let ended = Scrape::now()?.ended("lpwatch_transitions_total") - before;
    ensure!((ended - 3.0).abs() < f64::EPSILON, "{ended} ended, not 3");

    // The next transition is watched again.
    Patch::load_completely(EASY)?.remove()?;
    told.ended(EASY, 4)?;
    let status = lpwatch::poll()?;
    ensure!(
        !status.notes.contains(message),
        "status: {:?}",
        status.notes
    );
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// What happens while the daemon is stopped.
fn happen(trial: &mut Trial, stall: Patch) -> Result<()> {
    let seconds = std::env::var("LPWATCH_STOP_SECONDS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(STOPPED);
    let end = Instant::now() + Duration::from_secs(seconds);
    stall.disable()?;
    stall.wait_gone()?;
    stall.remove()?;
    Patch::load_completely(EASY)?.remove()?;
    // It has a connection, and no answer.
    let asked = lpwatch::run(&[&["status"]])?;
    let text = asked.expect(&[code::WELL])?.all_text();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(
        flat.contains("No state comes from a daemon") && flat.contains("did not answer"),
        "{text}"
    );
    trial.say("asked meanwhile");
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    Ok(())
}

/// Each once, in order, with the time at which it happened.
fn check_events(events: &[Event], from: f64, until: f64) -> Result<()> {
    let course = |patch: &str| -> Vec<(&str, Option<&str>)> {
        let steps = events.iter().filter(|event| {
            event.is_about(patch)
                && (event.kind.starts_with("transition_") || event.kind.starts_with("patch_"))
        });
        steps
            .map(|event| (event.kind.as_str(), event.details.outcome.as_deref()))
            .collect()
    };
    let begun = ("transition_begun", None);
    let ended = |outcome| ("transition_ended", Some(outcome));
    let stall = course(STALL);
    // How it ended may be unknown, but no other end is reported.
    ensure!(
        stall == [begun, ("transition_reversed", None), ended("reversed")]
            || stall == [begun, ended("unknown")],
        "{stall:?}: {events:?}"
    );
    let easy = course(EASY);
    let completed = ended("completed");
    ensure!(
        easy == [begun, completed, begun, completed],
        "{easy:?}: {events:?}"
    );
    for event in events.iter().filter(|event| event.is_about(EASY)) {
        ensure!(
            event.boot_seconds > from - CLOCKS && event.boot_seconds < until + CLOCKS,
            "not between {from} and {until}: {event:?}"
        );
    }
    let mut gaps = events
        .iter()
        .filter(|event| event.kind == "watch_interrupted");
    let gap = gaps.next().context("no interruption")?;
    ensure!(gaps.next().is_none(), "twice: {events:?}");
    let seconds = gap.details.seconds.context("for how long?")?;
    ensure!(
        seconds > until - from - CLOCKS && gap.boot_seconds < from + CLOCKS,
        "{gap:?}"
    );
    Ok(())
}

/// Nothing is reported as seen that was not.
fn check_history(stopped: f64) -> Result<()> {
    let history: History = guest::wait_for("the history has all", || {
        let history: History = lpwatch::ask("/api/v1/history?limit=10000")?;
        let mut own = history.transitions.iter();
        let is_there = own.by_ref().filter(|record| !record.reconstructed).count() == 3;
        Ok(is_there.then_some(history))
    })?;
    for record in history.transitions.iter().filter(|one| !one.reconstructed) {
        let started = record.started_boot_seconds.context("no start")?;
        let took = record.ended_boot_seconds - started;
        ensure!(took > 0.0 && took < stopped * 2.0, "{record:?}");
        if record.transition.patch.as_deref() == Some(STALL) {
            // Up to the stop it was watched: the task was left in this direction only.
            let as_seen = record
                .blockers
                .iter()
                .all(|one| one.direction == "patching");
            ensure!(as_seen && !record.course.is_empty(), "{record:?}");
            ensure!(
                record.unwatched_seconds > 0.0 && record.unwatched_seconds < took + CLOCKS,
                "{record:?}"
            );
        } else {
            ensure!(
                record.course.is_empty() && record.blockers.is_empty(),
                "{record:?}"
            );
            ensure!(
                (record.unwatched_seconds - took).abs() < CLOCKS,
                "{record:?}"
            );
        }
    }
    Ok(())
}

/// Seconds since boot, time asleep included.
fn uptime() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let first = text.split(' ').next().context("no number")?;
    Ok(first.parse()?)
}
