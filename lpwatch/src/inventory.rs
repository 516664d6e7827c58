//! What is patched on this host, by every system: on disk and running.

mod gather;
mod log;
mod parts;
mod tools;

pub use gather::{Wanted, gather};
