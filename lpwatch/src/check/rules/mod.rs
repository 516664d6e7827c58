//! The rules, one file each.

mod busy;
mod risky;
#[cfg(test)]
pub(super) mod samples;
mod will_block;
mod wont_switch;

use crate::model::{check::CheckFinding, snapshot::Severity};

use super::Ground;

/// A rule: what it judges, and why that matters.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What findings carry, and `--explain` takes.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Paragraphs for `lpwatch check --explain`.
    pub background: &'static str,
    /// Where that can be read: kernel files with version, man pages, threads.
    pub sources: &'static [&'static str],
    pub judge: fn(&Ground<'_>) -> Vec<CheckFinding>,
}

/// All rules, in the order of a rollout: what the kernel says first, first.
pub const ALL: &[Rule] = &[busy::RULE, will_block::RULE, wont_switch::RULE, risky::RULE];

/// The rule of this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    let id = id.replace('-', "_");
    ALL.iter().find(|rule| rule.id == id)
}

/// A finding without evidence or remedy yet.
fn finding(rule: &Rule, severity: Severity, text: String) -> CheckFinding {
    CheckFinding {
        rule: rule.id.to_owned(),
        severity,
        text,
        evidence: Vec::new(),
        remedy: Vec::new(),
        refusal: None,
    }
}

impl CheckFinding {
    fn with_evidence(mut self, evidence: Vec<String>) -> Self {
        self.evidence = evidence;
        self
    }

    fn with_remedy(mut self, remedy: Vec<String>) -> Self {
        self.remedy = remedy;
        self
    }
}

/// The first few names, and how many more there are.
fn names(names: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = names.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}
