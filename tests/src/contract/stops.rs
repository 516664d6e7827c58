//! For how long the machine was stopped.

use serde::Deserialize;

use super::nullable;

#[derive(Debug, Deserialize)]
pub struct Stops {
    pub engines: Vec<OfEngine>,
    pub last: Vec<Last>,
    pub records_lost: u64,
}

#[derive(Debug, Deserialize)]
pub struct OfEngine {
    #[serde(deserialize_with = "nullable")]
    pub engine: Option<String>,
    pub times: u64,
    pub longest_ms: f64,
}

#[derive(Debug, Deserialize)]
pub struct Last {
    #[serde(deserialize_with = "nullable")]
    pub engine: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub function: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub module: Option<String>,
    pub stopped_ms: f64,
    pub held_ms: f64,
    pub cpus: u32,
    #[serde(deserialize_with = "nullable")]
    pub cpus_of: Option<u32>,
}

/// The stops during a transition.
#[derive(Debug, Deserialize)]
pub struct Stopped {
    pub times: u32,
    pub longest_ms: f64,
    pub functions: Vec<String>,
}

impl Stops {
    pub fn of(&self, engine: Option<&str>) -> Option<&OfEngine> {
        let mut engines = self.engines.iter();
        engines.find(|one| one.engine.as_deref() == engine)
    }
}
