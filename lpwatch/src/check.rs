//! The pre-flight check: whether a patch can be loaded safely on this host now.
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
        check::{CheckFinding, CheckReport, CheckVerdict},
        document::{DocumentHead, Source},
        snapshot::Severity,
    },
};

use facts::CheckFacts;

/// The patch to check and the facts of the host.
#[derive(Clone, Copy, Debug)]
pub struct CheckContext<'a> {
    pub patch: &'a PatchFile,
    pub facts: &'a CheckFacts,
    /// The patch is already loaded, so the rules about loading do not apply.
    pub is_loaded: bool,
}

impl CheckContext<'_> {
    /// Whether the patch itself is in transition.
    #[must_use]
    pub fn is_in_transition(&self) -> bool {
        let patches = self.facts.patches.iter().flatten();
        let mut same = patches.filter(|patch| patch.name == self.patch.name);
        self.is_loaded && same.any(|patch| patch.in_transition)
    }
}

/// Applies every rule and forecasts the transition.
#[must_use]
pub fn check(context: &CheckContext<'_>, file: Option<&str>, now: &Moment) -> CheckReport {
    let rules = rules::ALL.iter();
    let mut findings: Vec<CheckFinding> = rules.flat_map(|rule| (rule.judge)(context)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let verdict = verdict(&findings);
    let CheckFacts {
        host, notes, tasks, ..
    } = context.facts;
    let source = tasks.source.unwrap_or(Source::Sysfs);
    CheckReport {
        head: DocumentHead::new(host.node.clone(), host.release.clone(), now.wall, source),
        patch: Some(context.patch.name.clone()),
        file: file.map(str::to_owned),
        verdict,
        forecast: forecast::forecast(context, &findings),
        findings,
        notes: notes.clone(),
    }
}

/// The worst of all findings.
#[must_use]
pub fn verdict(findings: &[CheckFinding]) -> CheckVerdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Danger) => CheckVerdict::Danger,
        Some(Severity::Warning) => CheckVerdict::Warning,
        Some(Severity::Note) | None => CheckVerdict::Safe,
    }
}
