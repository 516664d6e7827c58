//! lpwatch: which tasks still run old code during a live patch, and why.
//!
//! The kernel is read by [`kernel`] (as files) and [`probe`] (by BPF);
//! [`engine`] puts each patching system into the terms of [`model`], whose
//! `Snapshot` is the one value that [`daemon`], [`commands`] and [`render`]
//! show; [`observe`] keeps it up to date. [`inventory`] lists what every system
//! has patched. [`doctor`] tells what a host offers and what is chosen for it; [`check`]
//! whether a patch can be loaded safely; [`fleet`] how a rollout stands over many
//! hosts.

pub mod check;
pub mod commands;
pub mod daemon;
pub mod doctor;
pub mod engine;
mod error;
mod exit;
pub mod fleet;
#[cfg(test)]
mod fuzz;
pub mod history;
pub mod inventory;
pub mod kernel;
pub mod model;
pub mod observe;
pub mod probe;
pub mod render;
mod text;

pub use error::Error;
pub use exit::Exit;
