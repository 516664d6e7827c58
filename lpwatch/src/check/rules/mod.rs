//! The rules, one file each.

mod busy;
#[cfg(test)]
mod samples;

use crate::model::check::CheckFinding;

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
pub const ALL: [Rule; 1] = [busy::RULE];

/// The rule of this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    let id = id.replace('-', "_");
    ALL.iter().find(|rule| rule.id == id)
}
