//! Tables and JSON, rendered from a `Snapshot` or another value of the model.
//!
//! Everything here is pure: the input is a value and a [`style::Style`], the output
//! is text. Names of tasks, patches and so on can be hostile: they pass through
//! [`style::Style::text`] before they are shown.

pub mod calls;
pub mod check;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod fleet;
pub mod history;
pub mod json;
pub mod outcome;
pub mod patches;
pub mod report;
pub mod style;
pub mod table;
pub mod tasks;
pub mod top;
pub mod waits;

mod columns;
mod command;
mod page;
mod paint;
mod refused;
mod stack;
mod sums;
mod why;
mod words;
