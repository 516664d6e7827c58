//! What happened, in order and once: a patch that completes, one that is refused, one
//! that stalls and is reversed. Then the same from the file, without a daemon.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::unistd::gettid;

use crate::guest::{self, Module};
use crate::journal::{Details, Document, Event, Held, History, history};
use crate::lpwatch::{self, Daemon, SOCKET, code};
use crate::patch::Patch;
use crate::scrape;
use crate::trial::Trial;

/// Where the daemon keeps its history here.
const DIR: &str = "/run/lpwatch-events";

fn events(more: &[&str]) -> Result<Document> {
    let ended = lpwatch::run(&[&["events", "-o", "json", "--history-dir", DIR], more])?;
    let text = ended.expect(&[code::WELL])?.text();
    serde_json::from_str(&text).with_context(|| format!("events broke its contract: {text}"))
}

pub fn run(trial: &mut Trial) -> Result<()> {
    // Whatever an earlier run left.
    drop(fs::remove_dir_all(DIR));
    let nobody = lpwatch::run(&[&["events", "--history-dir", DIR]])?;
    let nobody = nobody.expect(&[code::ERROR])?;
    ensure!(
        nobody.stderr.contains("systemctl start lpwatch"),
        "{}",
        nobody.stderr
    );

    let phases = ["--slow-after", "3s", "--stall-after", "6s"];
    let daemon = Daemon::start(&[&phases[..], &["--history-dir", DIR]].concat())?;
    happen(&daemon)?;
    let told = told(trial)?;
    resumed(&told)?;
    kept(trial)?;

    daemon.terminate()?.expect(&[code::WELL])?;
    let alone = events(&[])?;
    ensure!(!alone.daemon, "{alone:?}");
    ensure!(
        alone.events.starts_with(&told),
        "the file has other events: {alone:?}"
    );
    for arguments in [&["status"][..], &["history", "--history-dir", DIR]] {
        let asked = Instant::now();
        lpwatch::run(&[arguments])?.expect(&[code::WELL])?;
        let name = format!("{}_ms", arguments[0]);
        trial.figure(&name, asked.elapsed().as_millis());
    }
    Ok(())
}

/// What is to be told of.
fn happen(daemon: &Daemon) -> Result<()> {
    let easy = Patch::load_completely("lp_cmdline")?;
    daemon.wait_outcome("lp_cmdline", "patching", "completed")?;
    easy.remove()?;
    daemon.wait_outcome("lp_cmdline", "unpatching", "completed")?;
    guest::load_refused("lp_missing_symbol")?;
    super::refused::last("lp_missing_symbol")?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    guest::wait_until("the transition is stalled", || {
        let document = lpwatch::poll()?;
        Ok(document.transition("lp_stall")?.phase.as_deref() == Some("stalled"))
    })?;
    stall.disable()?;
    stall.wait_gone()?;
    guest::wait_until("the reversal is recorded", || {
        let document = lpwatch::poll()?;
        let past = document.last("lp_stall");
        Ok(past.is_some_and(|past| past.outcome == "reversed"))
    })
}

/// The events of each patch, in order, checked.
fn told(trial: &mut Trial) -> Result<Vec<Event>> {
    let document = events(&[])?;
    ensure!(
        document.daemon && document.schema_version == 2,
        "{document:?}"
    );
    let all = document.events;
    for event in &all {
        trial.say(&format!("{} {}", event.kind, event.message));
    }
    for (one, next) in all.iter().zip(all.iter().skip(1)) {
        ensure!(one.id < next.id, "the ids do not grow: {one:?}, {next:?}");
    }
    ensure!(all.iter().all(|event| event.boot_id.is_some()), "{all:?}");
    let began = all.iter().filter(|event| event.kind == "watch_began");
    ensure!(began.count() == 1, "{all:?}");
    // Tasks that switch are summed by time, so their number depends on the guest; what
    // is counted depends on the kernel.
    let course = |patch: &str| -> Vec<(String, Option<String>, Option<String>)> {
        let is_step = |kind: &str| kind.starts_with("transition_") || kind == "patch_refused";
        let of = all
            .iter()
            .filter(|event| event.patch.as_deref() == Some(patch));
        of.filter(|event| is_step(&event.kind))
            .map(|event| {
                let Details {
                    direction, outcome, ..
                } = event.details.clone();
                (event.kind.clone(), direction, outcome)
            })
            .collect()
    };
    let step = |kind: &str, direction: &str, outcome: Option<&str>| {
        let direction = Some(direction.to_owned());
        (kind.to_owned(), direction, outcome.map(str::to_owned))
    };
    let easy = course("lp_cmdline");
    ensure!(
        easy == [
            step("transition_begun", "patching", None),
            step("transition_ended", "patching", Some("completed")),
            step("transition_begun", "unpatching", None),
            step("transition_ended", "unpatching", Some("completed")),
        ],
        "{easy:?}"
    );
    let stall = course("lp_stall");
    ensure!(
        stall
            == [
                step("transition_begun", "patching", None),
                step("transition_slow", "patching", None),
                step("transition_stalled", "patching", None),
                step("transition_reversed", "unpatching", None),
                step("transition_ended", "patching", Some("reversed")),
            ],
        "{stall:?}"
    );
    // This thread has reversed it, and a hook saw that.
    let reversed = all.iter().find(|event| event.kind == "transition_reversed");
    let Details { tid, comm, uid, .. } = &reversed.context("no reversal")?.details;
    ensure!(
        *tid == Some(gettid().as_raw()) && *uid == Some(0) && comm.is_some(),
        "reversed by another: {reversed:?}"
    );
    let mut refused = all.iter().filter(|event| event.kind == "patch_refused");
    let one = refused.next().context("no refusal")?;
    let cause = one.details.cause.as_deref().unwrap_or_default();
    ensure!(
        one.details.errno == Some(22)
            && cause.contains("lpwatch_no_such_function")
            && one.severity == "warning"
            && refused.next().is_none(),
        "{one:?}"
    );
    Ok(all)
}

/// A client that has the first half gets the second.
fn resumed(told: &[Event]) -> Result<()> {
    let middle = told.get(told.len() / 2).context("no event")?;
    let path = format!("/api/v1/events?after={}", middle.id);
    let rest: Document = lpwatch::ask(&path)?;
    ensure!(
        rest.events.starts_with(&told[told.len() / 2 + 1..]),
        "{rest:?}"
    );
    Ok(())
}

/// The history of the same.
fn kept(trial: &mut Trial) -> Result<()> {
    let mut kept = History {
        transitions: Vec::new(),
    };
    guest::wait_until("the history has all", || {
        kept = history(DIR)?;
        let mut own = kept
            .transitions
            .iter()
            .filter(|record| !record.reconstructed);
        Ok(own.by_ref().count() == 4)
    })
    .with_context(|| format!("{kept:?}"))?;
    let stall = kept.transitions.first().context("no transition")?;
    ensure!(stall.transition.outcome == "reversed", "{stall:?}");
    ensure!(
        stall.boot_id.is_some() && stall.course.iter().any(|point| point.remaining == 1),
        "{stall:?}"
    );
    let path = format!("/api/v1/history/{}/report", stall.id);
    let report = scrape::ask_socket(SOCKET, &path)?;
    for part in [
        "<!DOCTYPE html>",
        "lpwatch_target_main",
        "patching transition",
    ] {
        ensure!(report.contains(part), "the report lacks {part}: {report}");
    }
    let is_held = |held: &&Held| {
        held.comm == "lpwatch_target"
            && held.direction == "patching"
            && held.last_seconds - held.first_seconds >= 4.0
    };
    stall
        .blockers
        .iter()
        .find(is_held)
        .context(format!("{stall:?}"))?;
    let one = lpwatch::run(&[&["history", &stall.id.to_string()]])?;
    trial.say(&one.expect(&[code::WELL])?.text());
    lpwatch::run(&[&["history", "999999"]])?.expect(&[code::ERROR])?;
    Ok(())
}
