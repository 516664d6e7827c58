//! What `lpwatch check` foretells of a patch, and what then happens to it.

mod happened;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::lpwatch::{self, code};

pub use happened::{Happened, load};

/// What is read of the report: the rest is for people.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub verdict: String,
    pub findings: Vec<Finding>,
    pub forecast: Forecast,
    pub notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Finding {
    pub rule: String,
    pub severity: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Forecast {
    pub course: String,
    pub text: String,
    pub refusal: Option<Refusal>,
    pub after_signal: Vec<Task>,
    pub later: Vec<Task>,
    pub never: Vec<Task>,
}

#[derive(Debug, Deserialize)]
pub struct Refusal {
    pub errno: i32,
}

#[derive(Debug, Deserialize)]
pub struct Task {
    pub tid: i32,
}

/// Checks a test patch, with these flags besides.
pub fn check(patch: &str, flags: &[&str]) -> Result<Report> {
    let file = format!("/modules/{patch}.ko");
    let line: &[&[&str]] = &[&["check", &file, "-o", "json"], flags];
    let ended = lpwatch::run(line)?;
    ended.expect(&[code::WELL, code::DANGER])?;
    serde_json::from_slice(&ended.stdout).with_context(|| format!("the report on {patch}"))
}

impl Report {
    /// Whether a rule found something, as bad as this or worse.
    pub fn found(&self, rule: &str, severity: &str) -> bool {
        let rank = |severity: &str| match severity {
            "danger" => 2,
            "warning" => 1,
            _ => 0,
        };
        let mut found = self.findings.iter().filter(|finding| finding.rule == rule);
        found.any(|finding| rank(&finding.severity) >= rank(severity))
    }

    /// In a few words, for the table.
    pub fn words(&self) -> String {
        let Forecast {
            course,
            refusal,
            after_signal,
            later,
            never,
            ..
        } = &self.forecast;
        match course.as_str() {
            "refused" => {
                let errno = refusal.as_ref().map_or(0, |refusal| refusal.errno);
                format!("refused with {errno}")
            }
            "completes" => "completes".to_owned(),
            "after_signal" => format!("completes after the signal ({})", after_signal.len()),
            "open" => format!("open ({} leave when they will)", later.len()),
            "stalls" => format!("stalls ({} never)", never.len()),
            other => other.to_owned(),
        }
    }
}

/// Whether what happened is what was foretold.
pub fn agree(report: &Report, happened: &Happened) -> bool {
    let forecast = &report.forecast;
    let tids = |tasks: &[Task]| tasks.iter().map(|task| task.tid).collect::<BTreeSet<i32>>();
    match (forecast.course.as_str(), happened) {
        ("refused", Happened::Refused(errno)) => {
            let foretold = forecast.refusal.as_ref().map(|refusal| refusal.errno);
            foretold == Some(*errno)
        }
        ("completes", Happened::Completed { signalled, .. }) => !signalled,
        ("after_signal", Happened::Completed { signalled, .. }) => *signalled,
        ("open", Happened::Completed { .. }) => true,
        ("open", Happened::Left { tids: left, .. }) => left.is_subset(&tids(&forecast.later)),
        (
            "stalls",
            Happened::Left {
                tids: left,
                signalled,
                ..
            },
        ) => {
            let never = tids(&forecast.never);
            // Until the signal those that it frees are left as well.
            let foretold = &never | &tids(&forecast.after_signal);
            never.is_subset(left) && left.is_subset(if *signalled { &never } else { &foretold })
        }
        (
            "after_signal",
            Happened::Left {
                tids: left,
                signalled,
                ..
            },
        ) => !signalled && *left == tids(&forecast.after_signal),
        _ => false,
    }
}
