//! What `lpwatch check` foretells of a patch, and what then happens to it.

mod happened;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use serde::Deserialize;

use crate::guest;
use crate::lpwatch::{self, code};
use crate::trial::Trial;

pub use happened::{Happened, load};

/// For scenarios that ask for nothing that lasts.
pub const SHORT: &[&str] = &["--sample", "1s"];

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
    pub evidence: Vec<String>,
    pub refusal: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub struct Forecast {
    pub outcome: String,
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
    check_file(&format!("/modules/{patch}.ko"), flags)
}

/// [`check`] of a file. Its exit code has to be that of its verdict.
pub fn check_file(file: &str, flags: &[&str]) -> Result<Report> {
    let line: &[&[&str]] = &[&["check", file, "-o", "json"], flags];
    let ended = lpwatch::run(line)?;
    ended.expect(&[code::WELL, code::DANGER, code::WARNING])?;
    let report: Report =
        serde_json::from_slice(&ended.stdout).with_context(|| format!("the report on {file}"))?;
    let expected = match report.verdict.as_str() {
        "danger" => code::DANGER,
        "warning" if flags.contains(&"--strict") => code::WARNING,
        _ => code::WELL,
    };
    ended.expect(&[expected])?;
    Ok(report)
}

impl Report {
    /// The finding of a rule with this severity and, in its text or evidence, all
    /// of these words.
    pub fn finding(&self, rule: &str, severity: &str, words: &[&str]) -> Result<&Finding> {
        let mut found = self.findings.iter().filter(|found| {
            let all = format!("{} {}", found.text, found.evidence.join(" "));
            found.rule == rule
                && found.severity == severity
                && words.iter().all(|word| all.contains(word))
        });
        found
            .next()
            .with_context(|| format!("no {severity} of {rule} with {words:?} in {self:?}"))
    }

    /// [`Self::finding`], for which the kernel would refuse the patch so.
    pub fn refusing(&self, rule: &str, errno: Errno, words: &[&str]) -> Result<&Finding> {
        let found = self.finding(rule, "danger", words)?;
        let errnos = [&found.refusal, &self.forecast.refusal];
        let foretold = errnos.map(|refusal| refusal.as_ref().map(|refusal| refusal.errno));
        ensure!(foretold == [Some(errno as i32); 2], "not {errno}: {self:?}");
        Ok(found)
    }

    /// A rule must have found nothing at all.
    pub fn silent(&self, rule: &str) -> Result<()> {
        ensure!(!self.found(rule, "note"), "{rule} speaks: {self:?}");
        Ok(())
    }

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
            outcome,
            refusal,
            after_signal,
            later,
            never,
            ..
        } = &self.forecast;
        match outcome.as_str() {
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
    match (forecast.outcome.as_str(), happened) {
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
            let later = &never | &tids(&forecast.later);
            // Until the signal those that it frees are left as well.
            let foretold = &later | &tids(&forecast.after_signal);
            never.is_subset(left) && left.is_subset(if *signalled { &later } else { &foretold })
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

/// A row of the table in docs/check.md.
pub fn row(trial: &Trial, case: &str, foretold: &str, happened: &str, agree: &str) -> Result<()> {
    let series = guest::kernel_series()?;
    trial.say(&format!(
        "| {case} | {series} | {foretold} | {happened} | {agree} |"
    ));
    Ok(())
}

/// A row of a case in which what happened has to be what was foretold.
pub fn agreeing_row(trial: &Trial, case: &str, report: &Report, happened: &Happened) -> Result<()> {
    ensure!(
        agree(report, happened),
        "{case}: foretold {}, happened {}: {report:?} {happened:?}",
        report.words(),
        happened.words()
    );
    row(trial, case, &report.words(), &happened.words(), "yes")
}

/// Loads a patch that was checked: what happens has to be what was foretold.
pub fn put_to_the_test(patch: &str, report: &Report) -> Result<Happened> {
    let happened = load(patch, &report.forecast.outcome)?;
    ensure!(
        agree(report, &happened),
        "{patch}: foretold {}, happened {}: {report:?} {happened:?}",
        report.words(),
        happened.words()
    );
    Ok(happened)
}
