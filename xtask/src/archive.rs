//! The Debian archive, through the machine's own mirror and apt.
//!
//! `sources` finds the mirror, `apt` asks it about one suite at a time in a
//! private apt state, so the machine's own apt is neither read nor changed.

pub mod apt;
pub mod sources;

pub use apt::Suite;
pub use sources::Mirrors;
