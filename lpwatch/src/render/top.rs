//! `lpwatch top`: the state of its screen, and the drawing of it.
//!
//! [`App`] takes snapshots and keys, and [`draw()`] draws it. Neither does I/O or reads a
//! clock, so that every screen can be tested.

mod app;
mod calls;
mod changes;
mod chart;
mod draw;
mod explained;
mod help;
mod look;
mod patches;
mod rows;
#[cfg(test)]
mod svg;
#[cfg(test)]
mod tests;

pub use app::{AfterKey, App, Key};
pub use draw::draw;
