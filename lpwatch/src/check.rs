//! The pre-flight check: whether a patch can be loaded safely, here and now.
//!
//! Facts are gathered once ([`facts`]); each rule ([`rules`]) judges plain
//! values, so all of them are tested without a kernel.

pub mod facts;
mod forecast;
mod risky_functions;
pub mod rules;

use crate::{
    kernel::patch_file::PatchFile,
    model::{
        Moment,
        check::{CheckFinding, CheckReport, Verdict},
        snapshot::{SCHEMA_VERSION, Severity},
    },
};

use facts::Facts;

/// What is judged: a patch, on a host.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    pub patch: &'a PatchFile,
    pub facts: &'a Facts,
    /// The patch is loaded already: what loading would do is past.
    pub is_loaded: bool,
}

/// Applies every rule, and foretells the course.
#[must_use]
pub fn check(ground: &Ground<'_>, file: Option<&str>, now: &Moment) -> CheckReport {
    let rules = rules::ALL.iter();
    let mut findings: Vec<CheckFinding> = rules.flat_map(|rule| (rule.judge)(ground)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let verdict = verdict(&findings);
    let Facts { host, notes, .. } = ground.facts;
    CheckReport {
        schema_version: SCHEMA_VERSION,
        host: host.node.clone(),
        kernel: host.release.clone(),
        checked_at: now.wall,
        patch: Some(ground.patch.name.clone()),
        file: file.map(str::to_owned),
        verdict,
        forecast: forecast::forecast(ground, &findings),
        findings,
        notes: notes.clone(),
    }
}

/// The worst of all findings.
#[must_use]
pub fn verdict(findings: &[CheckFinding]) -> Verdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Danger) => Verdict::Danger,
        Some(Severity::Warning) => Verdict::Warning,
        Some(Severity::Note) | None => Verdict::Safe,
    }
}
