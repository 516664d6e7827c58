//! What people and programs get to see, drawn from a `Snapshot`.
//!
//! Everything here is pure: a value and a [`style::Style`] go in, text comes
//! out. Names of tasks, patches and the like come from elsewhere and may be
//! hostile: they pass through [`style::Style::text`] before they are shown.

pub mod calls;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod fleet;
pub mod json;
pub mod outcome;
pub mod patches;
pub mod style;
pub mod table;
pub mod tasks;

mod columns;
mod command;
mod page;
mod paint;
mod stack;
mod sums;
mod why;
mod words;
