//! Runs scenarios one after the other, so that none can take another down,
//! and reports each as one line of JSON.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use serde::Serialize;

use crate::patch;
use crate::scenarios::{Scenario, all};
use crate::trial::{Skipped, Trial};

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

#[derive(Serialize)]
struct Report<'a> {
    scenario: &'a str,
    outcome: Outcome,
    seconds: f64,
    detail: String,
    figures: BTreeMap<String, String>,
}

/// Prints the scenarios, one a line: name, group, marks and what it is about,
/// with tabs between.
pub fn list() {
    for scenario in all() {
        let Scenario {
            name, group, about, ..
        } = scenario;
        println!("{name}\t{group}\t{}\t{about}", scenario.marks());
    }
}

/// Runs the scenarios named, or all that need no boot of their own.
pub fn run(only: &[String]) -> ExitCode {
    if let Some(name) = only.iter().find(|&name| find(name).is_none()) {
        eprintln!("lpwatch-scenarios: no scenario is called {name}; see `list`");
        return ExitCode::from(2);
    }
    let chosen: Vec<&Scenario> = if only.is_empty() {
        all().filter(|scenario| !scenario.own_boot).collect()
    } else {
        only.iter().filter_map(|name| find(name)).collect()
    };

    let mut failures = 0_usize;
    for scenario in &chosen {
        let report = run_one(scenario);
        failures += usize::from(report.outcome == Outcome::Failed);
        print(&report);
    }
    eprintln!("{} scenarios, {failures} failed", chosen.len());
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

fn run_one(scenario: &Scenario) -> Report<'static> {
    eprintln!("==> {}", scenario.name);
    let mut trial = Trial::new();
    let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&mut trial)));
    let (mut outcome, mut detail) = judge(result);

    // What a scenario leaves behind would spoil the next one. A guest booted
    // for one scenario may be left as it is.
    if !scenario.own_boot
        && let Err(error) = patch::sweep()
    {
        outcome = Outcome::Failed;
        detail = join(&detail, &format!("not cleaned up: {error:#}"));
    }
    let seconds = (trial.seconds() * 10.0).round() / 10.0;
    Report {
        scenario: scenario.name,
        outcome,
        seconds,
        detail,
        figures: trial.into_figures(),
    }
}

fn judge(result: Result<anyhow::Result<()>, Box<dyn Any + Send>>) -> (Outcome, String) {
    match result {
        Ok(Ok(())) => (Outcome::Passed, String::new()),
        Ok(Err(error)) => match error.downcast_ref::<Skipped>() {
            Some(reason) => (Outcome::Skipped, reason.to_string()),
            None => (Outcome::Failed, format!("{error:#}")),
        },
        Err(panic) => (Outcome::Failed, format!("panicked: {}", words_of(&*panic))),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}

fn join(first: &str, second: &str) -> String {
    if first.is_empty() {
        second.to_owned()
    } else {
        format!("{first}; {second}")
    }
}

fn print(report: &Report<'_>) {
    match serde_json::to_string(report) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!(
            "lpwatch-scenarios: no report of {}: {error}",
            report.scenario
        ),
    }
    let word = match report.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    };
    eprintln!("<== {} {word} {}", report.scenario, report.detail);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = all().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn a_skip_is_no_failure_and_keeps_its_reason() {
        let skip = Err(Skipped("no such file".to_owned())).context("while trying");
        let (outcome, detail) = judge(Ok(skip));
        assert!(outcome == Outcome::Skipped);
        assert_eq!(detail, "no such file");
    }

    #[test]
    fn a_panic_fails_one_scenario_only() {
        let (outcome, detail) = judge(Err(Box::new("oh")));
        assert!(outcome == Outcome::Failed);
        assert_eq!(detail, "panicked: oh");
        let (outcome, _) = judge(Ok(Err(anyhow!("no"))));
        assert!(outcome == Outcome::Failed);
    }
}
