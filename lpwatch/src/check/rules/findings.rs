//! Helpers for findings: lists of names, bounded evidence, error numbers.

use crate::model::{
    calls::FunctionId,
    check::{CheckFinding, LoadRefusal},
    snapshot::Severity,
};

use super::Rule;

/// The most names in a sentence.
const NAMES_MAX: usize = 3;

/// The most lines of evidence.
const LINES_MAX: usize = 20;

/// `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    match (shown.as_slice(), names.len() - shown.len()) {
        ([], _) => String::new(),
        ([only], 0) => (*only).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The first lines, and the number of the rest.
pub(super) fn bounded(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// `name` for vmlinux, `object:name` for a module.
pub(super) fn display(id: &FunctionId) -> String {
    id.spelled()
}

/// A finding of this rule, without evidence and remedies.
pub(super) fn finding(
    rule: &Rule,
    severity: Severity,
    text: impl Into<String>,
    errno: Option<u32>,
) -> CheckFinding {
    CheckFinding {
        rule: rule.id.to_owned(),
        severity,
        text: text.into(),
        evidence: Vec::new(),
        remedy: Vec::new(),
        refusal: errno.map(|errno| LoadRefusal { errno }),
    }
}

impl CheckFinding {
    pub(super) fn with_evidence(mut self, evidence: Vec<String>) -> Self {
        self.evidence = bounded(evidence);
        self
    }

    pub(super) fn with_remedy(mut self, remedy: Vec<String>) -> Self {
        self.remedy = remedy;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_a_list() {
        let names = ["a", "b", "c", "d", "e"];
        for (count, expected) in [
            (0, ""),
            (1, "a"),
            (2, "a and b"),
            (3, "a, b and c"),
            (5, "a, b, c and 2 more"),
        ] {
            assert_eq!(listed(&names[..count]), expected);
        }
    }

    #[test]
    fn evidence_is_bounded() {
        let lines = |count: usize| vec!["line".to_owned(); count];
        assert_eq!(bounded(lines(20)).len(), 20);
        let many = bounded(lines(25));
        assert_eq!((many.len(), many[20].as_str()), (21, "and 5 more"));
    }
}
