//! `cargo xtask test fleet`: rules, dashboard and `lpwatch fleet` with a real
//! Prometheus, over simulated hosts and over a real kernel.

mod checks;
mod child;
mod dashboard;
mod guest;
mod http;
mod prometheus;
mod rules;
mod sim;
mod simulated;
mod stall;
mod truth;
mod until;

use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::build::{self, Scenarios};
use crate::setup::prometheus::Prometheus as Tools;
use crate::test::report::Report;
use crate::{paths, setup, ui};
use checks::Checks;

/// What all parts use.
struct Programs {
    tools: Tools,
    /// The static lpwatch, which runs here and in the guest.
    lpwatch: PathBuf,
    /// For the guest's /bin.
    guest: Vec<(&'static str, PathBuf)>,
}

/// Runs every part; each check has a report in the end.
pub fn run() -> Vec<Report> {
    let mut checks = Checks::default();
    let tools = checks.check("tools", |figures| {
        let tools = setup::prometheus::ensure()?;
        figures.add("version", &tools.version);
        Ok(tools)
    });
    let Some(tools) = tools else {
        return checks.done();
    };
    rules::run(&tools, &mut checks);
    let queries = checks.check("dashboard_file", dashboard::read);
    let programs = checks.check("programs", |_| programs(tools));
    if let (Some(queries), Some(programs)) = (queries, programs) {
        simulated::run(&programs, &queries, &mut checks);
        guest::run(&programs, &mut checks);
    }
    checks.done()
}

/// Runs `cargo xtask fleet-sim`.
pub fn simulate(arguments: &[String]) -> Result<ExitCode> {
    let program = build::fleet_sim()?;
    ui::note(format!("running {}", program.display()));
    let mut child = child::Child::start(Command::new(program).args(arguments))?;
    child.wait_or_interrupt()
}

fn programs(tools: Tools) -> Result<Programs> {
    setup::for_fleet()?;
    let guest = build::guest_programs(Scenarios::IfTheyBuild)?;
    let lpwatch = guest.iter().find(|(name, _)| *name == "lpwatch");
    let lpwatch = lpwatch
        .map(|(_, path)| path.clone())
        .context("lpwatch was not built")?;
    Ok(Programs {
        tools,
        lpwatch,
        guest,
    })
}

/// `promtool check metrics` has nothing to remark.
fn promtool_metrics(tools: &Tools, metrics: &str) -> Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(metrics.as_bytes())?;
    file.rewind()?;
    let output = Command::new(&tools.promtool)
        .args(["check", "metrics"])
        .stdin(file)
        .output()
        .context("cannot start promtool")?;
    let remarks = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success() && remarks.is_empty(),
        "promtool says: {}",
        String::from_utf8_lossy(&remarks)
    );
    ensure!(!metrics.is_empty(), "there are no metrics");
    Ok(())
}

/// What is deployed, and tested here.
fn deployed(below: &str) -> PathBuf {
    paths::workspace().join("deploy").join(below)
}
