//! The patches of every system on this host, on disk and loaded.

mod gather;
mod log;
mod parts;
mod tools;

pub use gather::{InventoryRequest, gather};
