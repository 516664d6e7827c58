//! The rules, one file each.

mod busy;
mod cpu_held;
pub(super) mod errno;
mod findings;
mod hooked;
mod kernel;
mod object_name;
mod overlap;
mod readable;
mod risky;
#[cfg(test)]
pub(super) mod samples;
mod symbol;
mod tracing_blind;
mod tracing_blocks;
mod will_block;
mod wont_switch;

use crate::model::check::CheckFinding;

use super::CheckContext;

/// A rule: what it checks, and why that matters.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The id in findings and for `--explain`.
    pub id: &'static str,
    /// The condition that must hold, in one line.
    pub title: &'static str,
    /// Paragraphs for `lpwatch check --explain`.
    pub background: &'static str,
    /// Sources: kernel files with version, man pages, threads.
    pub sources: &'static [&'static str],
    pub judge: fn(&CheckContext<'_>) -> Vec<CheckFinding>,
}

/// All rules, in the order in which the kernel checks when it loads a patch.
pub const ALL: &[Rule] = &[
    readable::RULE,
    kernel::RULE,
    busy::RULE,
    object_name::RULE,
    symbol::RULE,
    overlap::RULE,
    tracing_blocks::RULE,
    tracing_blind::RULE,
    will_block::RULE,
    wont_switch::RULE,
    cpu_held::RULE,
    risky::RULE,
];

/// The rule with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    let id = id.replace('-', "_");
    ALL.iter().find(|rule| rule.id == id)
}
