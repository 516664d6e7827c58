//! A patch stalls in a real kernel: the alert fires, and resolves once the patch
//! is taken back; `lpwatch fleet` shows both.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::checks::{Checks, Figures};
use super::guest::Running;
use super::prometheus::{Prometheus, rules};
use super::simulated::fleet_status;
use super::truth::{printed, printed_states};
use super::until::until;
use super::{Programs, promtool_metrics};
use crate::{page, paths};

const PATCH: &str = "lp_stall";
/// The guest counts a transition as stalled after a few seconds; it is emulated.
const WITHIN: Duration = Duration::from_mins(1);

/// The checks, in the order things happen.
pub fn run(programs: &Programs, guest: &mut Running<'_>, checks: &mut Checks) {
    checks.check("guest_metrics_please_promtool", |figures| {
        metrics(programs, guest, figures)
    });
    let prometheus = checks.check("guest_is_scraped", |_| {
        let prometheus = start(programs, guest)?;
        until("a scrape of the guest", WITHIN, || {
            guest.ensure_alive()?;
            let up = prometheus.number("up{job=\"lpwatch\"} == 1")?;
            Ok(up.ok_or_else(|| "it is not up".to_owned()))
        })?;
        Ok(prometheus)
    });
    let Some(prometheus) = prometheus else { return };
    checks.check("stall_alert_fires", |_| {
        guest.tell("load")?;
        alert_is(true, guest, &prometheus)?;
        annotated(&prometheus)
    });
    checks.check("stalled_metrics_please_promtool", |figures| {
        metrics(programs, guest, figures)
    });
    checks.check("fleet_status_shows_the_stall", |_| {
        state_is("stalled", programs, &prometheus)
    });
    checks.check("page_shows_the_stall", |_| {
        let picture = paths::target("logs").join("page-stalled.png");
        let url = format!("http://{}/", guest.address);
        page::against(&url, "stalled", Some(&picture))
    });
    checks.check("stall_alert_resolves", |_| {
        guest.tell("reverse")?;
        alert_is(false, guest, &prometheus)
    });
    checks.check("fleet_status_shows_the_reversal", |_| {
        state_is("failed", programs, &prometheus)
    });
    checks.check("reversed_metrics_please_promtool", |figures| {
        metrics(programs, guest, figures)
    });
}

fn metrics(programs: &Programs, guest: &Running<'_>, figures: &mut Figures) -> Result<()> {
    let text = guest.get("/metrics")?;
    figures.add("bytes", text.len());
    promtool_metrics(&programs.tools, &text)
}

/// One that scrapes the guest every second.
fn start(programs: &Programs, guest: &Running<'_>) -> Result<Prometheus> {
    let rules: Vec<(&str, String)> = rules()?
        .into_iter()
        .map(|(name, rules)| (name, shortened(&rules)))
        .collect();
    let config = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n\
         rule_files: [lpwatch-recording.rules.yml, lpwatch-alerts.rules.yml]\n\
         scrape_configs:\n  - job_name: lpwatch\n    static_configs:\n      \
         - targets: [\"{}\"]\n",
        guest.address
    );
    Prometheus::start(&programs.tools, "guest", &config, &rules)
}

/// The rules as deployed, but for `for:`. Minutes are for operators; that the
/// alert goes from pending to firing shows as well in two seconds.
fn shortened(rules: &str) -> String {
    let lines = rules.lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("for: ") {
            format!("{}for: 2s\n", " ".repeat(indent))
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

fn alert_is(firing: bool, guest: &Running<'_>, prometheus: &Prometheus) -> Result<()> {
    let query = "ALERTS{alertname=\"LpwatchTransitionStalled\", alertstate=\"firing\"}";
    until("the stall alert", WITHIN, || {
        guest.ensure_alive()?;
        let fires = prometheus
            .query(query)?
            .iter()
            .any(|alert| alert.label("patch") == PATCH);
        Ok(if fires == firing {
            Ok(())
        } else {
            let known = prometheus.query("lpwatch_transition_stalled")?;
            Err(format!("firing: {fires}; {known:?}"))
        })
    })
}

/// The alert says of which patch it is, and leads to its page.
fn annotated(prometheus: &Prometheus) -> Result<()> {
    let alerts = prometheus.data("alerts", &[])?;
    let alerts = alerts["alerts"].as_array().context("no list of alerts")?;
    let stalled = alerts
        .iter()
        .find(|alert| alert["labels"]["alertname"] == "LpwatchTransitionStalled")
        .context("Prometheus's own list lacks the alert")?;
    let words = &stalled["annotations"];
    let summary = words["summary"].as_str().unwrap_or_default();
    ensure!(summary.contains(PATCH), "its summary is `{summary}`");
    let page = words["runbook_url"].as_str().unwrap_or_default();
    ensure!(
        page.ends_with("LpwatchTransitionStalled.md"),
        "it leads to `{page}`"
    );
    Ok(())
}

/// `lpwatch fleet status` has the one host in this state.
fn state_is(state: &str, programs: &Programs, prometheus: &Prometheus) -> Result<()> {
    until("lpwatch fleet status", WITHIN, || {
        let status = fleet_status(&programs.lpwatch, prometheus)?;
        let states = printed(&status, PATCH).and_then(printed_states);
        Ok(match states {
            Ok(states) if states.get(state) == Some(&1) => Ok(()),
            Ok(states) => Err(format!("it says {states:?}, not {state}")),
            Err(error) => Err(format!("{error:#}")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_waiting_is_shortened() {
        let rules = "      - alert: A\n        expr: x for y\n        for: 15m\n        labels:\n";
        let expected =
            "      - alert: A\n        expr: x for y\n        for: 2s\n        labels:\n";
        assert_eq!(shortened(rules), expected);
    }
}
