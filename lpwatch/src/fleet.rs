//! A rollout over many hosts, as Prometheus knows it.
//!
//! [`prometheus`] asks, by the [`queries`]; what follows from the answers is
//! pure: the state of each host ([`hosts`]), of the whole ([`rollout`]), and
//! when a wait for it is over ([`wait`]). No host's clock is held against
//! another's.

pub mod durations;
mod facts;
pub mod hosts;
mod memory;
pub mod prometheus;
pub mod queries;
pub mod rollout;
pub mod selector;
pub mod source;
pub mod wait;

pub use facts::FleetFacts;
pub use memory::Memory;
