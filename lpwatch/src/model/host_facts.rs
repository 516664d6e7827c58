//! The host that a model is of.

use super::{
    evidence::Traits,
    snapshot::{Probe, Source},
};

/// The host, and how it is read.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub host: String,
    pub kernel: String,
    pub source: Source,
    pub daemon: bool,
    pub probes: Vec<Probe>,
    pub notes: Vec<String>,
    pub traits: Traits,
    /// Why no call is counted on this host; `None` if calls are counted or the reason
    /// is unknown.
    pub not_counted: Option<String>,
}
