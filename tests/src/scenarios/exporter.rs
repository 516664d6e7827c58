//! The metrics say what status says: before a stall, in it, and after it was
//! reversed; and each transition that ended is counted once.

use anyhow::{Context, Result, ensure};

use crate::contract::Document;
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, Running, code};
use crate::patch::Patch;
use crate::scrape::{ADDRESS, Scrape, get};
use crate::trial::Trial;

const REVERSED: &str = "{direction=\"patching\",outcome=\"reversed\"}";
const COMPLETED: &str = "{direction=\"patching\",outcome=\"completed\"}";

pub fn run(trial: &mut Trial) -> Result<()> {
    // What ended before the daemon came is shown, and not counted.
    Patch::load_completely("lp_cmdline")?.remove()?;
    let daemon = Daemon::start(&["--slow-after", "3s", "--stall-after", "6s"])?;
    let first = at_rest()?;
    port_taken()?;

    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    let stalled = stalled()?;
    trial.figure("bytes", stalled.0.len());
    trial.figure(
        "series",
        stalled
            .0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count(),
    );
    for counter in [
        "lpwatch_transitions_total",
        "lpwatch_transition_duration_seconds_count",
    ] {
        ensure!(
            stalled.ended(counter) < 0.5,
            "ended already:\n{}",
            stalled.0
        );
    }
    let lost = first.find("lpwatch_events_lost_total");
    ensure!(lost == Some(0.0), "events lost: {lost:?}");

    stall.disable()?;
    stall.wait_gone()?;
    reversed()?;

    let _patch = Patch::load_completely("lp_cmdline")?;
    daemon.wait_outcome("lp_cmdline", "patching", "completed")?;
    let last = Scrape::now()?;
    last.expect(&format!("lpwatch_transitions_total{COMPLETED}"), 1.0)?;
    last.expect(
        &format!("lpwatch_transition_duration_seconds_count{COMPLETED}"),
        1.0,
    )?;
    last.expect("lpwatch_patch_enabled{patch=\"lp_cmdline\"}", 1.0)?;
    ensure!(
        (last.ended("lpwatch_transitions_total") - 2.0).abs() < 0.5,
        "{}",
        last.0
    );
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn at_rest() -> Result<Scrape> {
    let scrape = Scrape::now()?;
    let document = lpwatch::look(&[])?;
    let Document { kernel, source, .. } = &document;
    scrape.expect(
        &format!("lpwatch_host_info{{kernel=\"{kernel}\",source=\"{source}\"}}"),
        1.0,
    )?;
    for collector in ["hooks", "tasks", "calls", "kernel_log", "sysfs"] {
        let series = format!("lpwatch_collector_success{{collector=\"{collector}\"}}");
        scrape.expect(&series, 1.0)?;
    }
    scrape.has_no("lpwatch_transition_in_progress{")?;
    ensure!(document.last("lp_cmdline").is_some(), "{document:?}");
    ensure!(
        scrape.ended("lpwatch_transitions_total") < 0.5,
        "counted:\n{}",
        scrape.0
    );
    ensure!(
        scrape
            .0
            .contains("lpwatch_last_transition_end_timestamp_seconds{"),
        "{}",
        scrape.0
    );
    for path in ["/", "/-/healthy", "/-/ready", "/api/v1/status"] {
        let answer = get(path)?;
        ensure!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    }
    Ok(scrape)
}

/// A daemon that cannot listen ends, and leaves no program in the kernel.
fn port_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("second.sock");
    let name = socket.to_str().unwrap_or_default();
    let ended = Running::lpwatch(&["daemon", "--socket", name])?.end()?;
    ended.expect(&[code::ERROR])?;
    ensure!(
        ended.stderr.contains(ADDRESS),
        "does not name it: {}",
        ended.stderr
    );
    ensure!(!socket.exists(), "its socket stayed behind");
    Ok(())
}

fn stalled() -> Result<Scrape> {
    let stalled = "lpwatch_transition_stalled{patch=\"lp_stall\"}";
    let mut seen = Vec::new();
    let scrape = guest::wait_for("the metrics say it is stalled", || {
        let scrape = Scrape::now()?;
        let is_stalled = scrape.find(stalled);
        if seen.last() != Some(&is_stalled) {
            seen.push(is_stalled);
        }
        Ok((is_stalled == Some(1.0)).then_some(scrape))
    })?;
    ensure!(
        seen.contains(&Some(0.0)),
        "stalled from the start: {seen:?}"
    );
    let document = lpwatch::status(&[], &[code::STALLED])?;
    let transition = document.transition("lp_stall")?;
    let left = transition
        .tasks_remaining
        .context("not known how many are left")?;
    let total = transition
        .tasks_total
        .context("not known how many there are")?;
    ensure!(left == 1, "{transition:?}");
    let tasks =
        |code: &str| format!("lpwatch_transition_tasks{{code=\"{code}\",patch=\"lp_stall\"}}");
    scrape.expect(&tasks("old"), 1.0)?;
    // Tasks come and go between the two questions.
    let on_new = scrape.find(&tasks("new")).context("none on new code")?;
    let others = f64::from(u32::try_from(total - left)?);
    ensure!(
        (on_new - others).abs() <= 5.0,
        "{on_new}, not about {others}"
    );
    scrape.expect(
        "lpwatch_transition_in_progress{direction=\"patching\",patch=\"lp_stall\"}",
        1.0,
    )?;
    scrape.expect(
        "lpwatch_transition_blocked_tasks{patch=\"lp_stall\",reason=\"sleeping_on_function\"}",
        1.0,
    )?;
    for name in ["age_seconds", "seconds_without_progress"] {
        let series = format!("lpwatch_transition_{name}{{patch=\"lp_stall\"}}");
        let seconds = scrape
            .find(&series)
            .with_context(|| format!("no {series}"))?;
        ensure!((6.0..600.0).contains(&seconds), "{series} is {seconds}");
    }
    Ok(scrape)
}

fn reversed() -> Result<()> {
    let counter = format!("lpwatch_transitions_total{REVERSED}");
    let scrape = guest::wait_for("the metrics count the reversal", || {
        let scrape = Scrape::now()?;
        Ok((scrape.ended("lpwatch_transitions_total") > 0.5).then_some(scrape))
    })?;
    let document = lpwatch::look(&[])?;
    let past = document.last("lp_stall").context("status forgot it")?;
    ensure!(past.outcome == "reversed", "{past:?}");
    scrape.expect(&counter, 1.0)?;
    scrape.expect(
        &format!("lpwatch_transition_duration_seconds_count{REVERSED}"),
        1.0,
    )?;
    scrape.has_no("lpwatch_transition_in_progress{")?;
    scrape.has_no("lpwatch_transition_stalled{")?;
    scrape.has_no("lpwatch_patch_enabled{patch=\"lp_stall\"}")?;
    // Counted once, however often it is asked.
    for _ in 0..5 {
        Scrape::now()?.expect(&counter, 1.0)?;
    }
    Ok(())
}
