//! Two thousand simulated hosts, scraped by a real Prometheus: its rules and
//! `lpwatch fleet` have to come to the numbers that the simulation knows.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::checks::{Checks, Figures};
use super::child::{Ended, run as run_within};
use super::dashboard::{self, Query};
use super::prometheus::{Prometheus, rules};
use super::sim::{self, PATCH, Sim};
use super::truth::{self, ByKernel, Truth};
use super::until::until;
use super::{Programs, promtool_metrics};
use crate::build;

/// The rollout takes 40 s; a busy machine gets several times as long.
const ROLLOUT: Duration = Duration::from_secs(150);
const HEALED: Duration = Duration::from_mins(2);
const SEEN: Duration = Duration::from_mins(1);
/// For one command of lpwatch.
const COMMAND: Duration = Duration::from_secs(90);

/// Rolls the patch over the fleet, with stalls, and heals it.
pub fn run(programs: &Programs, queries: &[Query], checks: &mut Checks) {
    let started = checks.check("simulated_fleet", |figures| start(programs, figures));
    let Some((sim, prometheus)) = started else {
        return;
    };
    let lpwatch = programs.lpwatch.as_path();
    let stalled = checks.check("rules_give_the_truth", |figures| {
        let truth = agreed(&sim, &prometheus, ROLLOUT)?;
        same_durations(&truth, &prometheus)?;
        stalled_as_planned(&truth)?;
        figures.add("stalled", truth.count("stalled"));
        Ok(truth)
    });
    let Some(stalled) = stalled else { return };
    checks.check("fleet_status_gives_the_truth", |_| {
        status_is(&stalled, lpwatch, &prometheus)
    });
    checks.check("fleet_wait_ends_with_11_on_stalls", |_| {
        wait_ends_with(11, lpwatch, &prometheus)
    });
    checks.check("dashboard_queries", |figures| {
        dashboard::run(queries, &prometheus, figures)
    });
    checks.check("alerts_of_the_fleet", |_| alerts(&prometheus));
    checks.check("rules_give_the_truth_once_healed", |_| {
        sim.heal()?;
        let truth = agreed(&sim, &prometheus, HEALED)?;
        ensure!(truth.count("stalled") == 0, "{truth:?}");
        status_is(&truth, lpwatch, &prometheus)
    });
    // Not before Prometheus knows: until then the hosts are stalled, and it says so.
    checks.check("fleet_wait_ends_with_0_once_healed", |_| {
        wait_ends_with(0, lpwatch, &prometheus)
    });
    checks.check("cost_of_the_fleet", |figures| cost(&prometheus, figures));
}

fn start(programs: &Programs, figures: &mut Figures) -> Result<(Sim, Prometheus)> {
    let sim = Sim::start(&build::fleet_sim()?)?;
    let metrics = sim.metrics()?;
    promtool_metrics(&programs.tools, &metrics)?;
    figures.add("bytes per scrape, unpatched", metrics.len());
    let prometheus = Prometheus::start(
        &programs.tools,
        "simulated",
        &config(&sim.discovery()),
        &rules()?,
    )?;
    figures.add("hosts", sim::HOSTS);
    Ok((sim, prometheus))
}

fn config(discovery: &str) -> String {
    format!(
        "global:\n  scrape_interval: 10s\n  evaluation_interval: 5s\n\
         rule_files: [lpwatch-recording.rules.yml, lpwatch-alerts.rules.yml]\n\
         scrape_configs:\n  - job_name: lpwatch\n    http_sd_configs:\n      \
         - url: {discovery}\n        refresh_interval: 30s\n"
    )
}

/// Waits until all has happened and the rules have recorded what is true.
fn agreed(sim: &Sim, prometheus: &Prometheus, limit: Duration) -> Result<Truth> {
    let query = format!("lpwatch:hosts:count{{patch=\"{PATCH}\"}}");
    until("rules and simulation agree", limit, || {
        let truth = sim.truth()?;
        let recorded = truth::recorded_states(&prometheus.query(&query)?)?;
        Ok(if truth.settled && recorded == truth.by_state {
            Ok(truth)
        } else {
            Err(format!(
                "recorded {recorded:?}, true {:?}, settled {}",
                truth.by_state, truth.settled
            ))
        })
    })
}

fn stalled_as_planned(truth: &Truth) -> Result<()> {
    for (state, planned) in [
        ("stalled", sim::STALLED),
        ("not_reporting", sim::DEAD),
        ("failed", sim::FAILED),
    ] {
        let count = truth.count(state);
        ensure!(count == planned, "{count} hosts are {state}, not {planned}");
    }
    Ok(())
}

/// The rules for times are a group of their own, and may be some seconds behind.
fn same_durations(truth: &Truth, prometheus: &Prometheus) -> Result<()> {
    until("recorded and true times agree", SEEN, || {
        let recorded = recorded_durations(prometheus)?;
        let right = truth::agree(&recorded, &truth.durations());
        Ok(if right {
            Ok(())
        } else {
            let known = truth.durations();
            Err(format!("recorded {recorded:?}, true {known:?}"))
        })
    })
}

fn recorded_durations(prometheus: &Prometheus) -> Result<ByKernel> {
    let mut recorded = ByKernel::new();
    for (at, quantile) in ["p50", "p90", "p99"].iter().enumerate() {
        let query = format!(
            "lpwatch:last_transition_duration_seconds:{quantile}\
             {{patch=\"{PATCH}\", direction=\"patching\"}}"
        );
        for sample in prometheus.query(&query)? {
            let kernel = sample.label("kernel").to_owned();
            recorded.entry(kernel).or_default()[at] = sample.value;
        }
    }
    Ok(recorded)
}

/// `lpwatch fleet status` gives the same numbers.
fn status_is(truth: &Truth, lpwatch: &Path, prometheus: &Prometheus) -> Result<()> {
    let status = fleet_status(lpwatch, prometheus)?;
    let patch = truth::printed(&status, PATCH)?;
    let states = truth::printed_states(patch)?;
    ensure!(
        states == truth.by_state,
        "it says {states:?}, true is {:?}",
        truth.by_state
    );
    let durations = truth::printed_durations(patch)?;
    ensure!(
        truth::agree(&durations, &truth.durations()),
        "its times are {durations:?}, true ones {:?}",
        truth.durations()
    );
    Ok(())
}

/// What `lpwatch fleet status -o json` prints.
pub fn fleet_status(lpwatch: &Path, prometheus: &Prometheus) -> Result<Value> {
    let mut command = Command::new(lpwatch);
    command.args(["-o", "json", "fleet", "status", "--prometheus"]);
    let Ended { stdout, stderr, .. } = run_within(command.arg(&prometheus.url), COMMAND)?;
    serde_json::from_str(&stdout)
        .with_context(|| format!("`lpwatch fleet status` gave no JSON: {stdout}{stderr}"))
}

fn wait_ends_with(code: i32, lpwatch: &Path, prometheus: &Prometheus) -> Result<()> {
    let mut command = Command::new(lpwatch);
    command.args([
        "fleet",
        "wait",
        PATCH,
        "--percent",
        "99",
        "--interval",
        "1s",
    ]);
    command.args(["--timeout", "60s", "--prometheus", &prometheus.url]);
    let ended = run_within(&command, COMMAND)?;
    ensure!(
        ended.code == Some(code),
        "it ended with {:?}, not {code}: {}{}",
        ended.code,
        ended.stdout,
        ended.stderr
    );
    Ok(())
}

/// The stalled hosts, and those away, have their alerts under way.
fn alerts(prometheus: &Prometheus) -> Result<()> {
    for (alert, hosts) in [
        ("LpwatchTransitionStalled", sim::STALLED),
        ("LpwatchDown", sim::DEAD),
        ("LpwatchTransitionFailed", sim::FAILED),
    ] {
        let query = format!("count(ALERTS{{alertname=\"{alert}\"}})");
        let found = prometheus.number(&query)?.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few hosts")]
        let expected = hosts as f64;
        ensure!(
            (found - expected).abs() < 0.5,
            "{alert} is pending or firing for {found} hosts, not {hosts}"
        );
    }
    Ok(())
}

/// What it takes to watch them, to be shown.
fn cost(prometheus: &Prometheus, figures: &mut Figures) -> Result<()> {
    for (name, query) in [
        ("series per host", "avg(scrape_samples_scraped)"),
        (
            "scrape seconds p50",
            "quantile(0.5, scrape_duration_seconds)",
        ),
        (
            "scrape seconds p99",
            "quantile(0.99, scrape_duration_seconds)",
        ),
    ] {
        if let Some(number) = prometheus.number(query)? {
            figures.add(name, format!("{number:.4}"));
        }
    }
    figures.add(
        "rules seconds",
        format!("{:.4}", prometheus.rules_seconds()?),
    );
    let rss = prometheus.rss_mib().context("Prometheus has no memory?")?;
    figures.add("Prometheus MiB", rss);
    Ok(())
}
