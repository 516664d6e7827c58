//! The document that `lpwatch status -o json` promises, read strictly: a field
//! that is missing is an error, even one that may be null.
//!
//! These are the scenarios' own types, not lpwatch's, so that a field renamed
//! in lpwatch is noticed here.

mod calls;
mod stops;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer};

pub use calls::{Calls, PhaseCalls, Watched};
pub use stops::{Stopped, Stops};

/// For fields that may be null and must be there: serde takes a missing
/// `Option` for `None` unless it is given a function.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

#[derive(Debug, Deserialize)]
pub struct Document {
    pub schema_version: u64,
    pub host: String,
    pub kernel: String,
    pub taken_at: String,
    pub source: String,
    pub daemon: bool,
    pub events_lost: u64,
    pub notes: Vec<String>,
    pub probes: Vec<Probe>,
    pub patches: Vec<Patch>,
    pub watched: Vec<Watched>,
    /// Null where it is not hooked.
    #[serde(deserialize_with = "nullable")]
    pub stops: Option<Stops>,
    pub last_transitions: Vec<Past>,
}

#[derive(Debug, Deserialize)]
pub struct Probe {
    pub fact: String,
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub target: Option<String>,
    pub attached: bool,
    #[serde(deserialize_with = "nullable")]
    pub note: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Patch {
    pub name: String,
    pub engine: String,
    #[serde(deserialize_with = "nullable")]
    pub enabled: Option<bool>,
    /// Why it is not applied although it was to be.
    #[serde(deserialize_with = "nullable")]
    pub refusal: Option<Refusal>,
    #[serde(deserialize_with = "nullable")]
    pub replace: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub stack_order: Option<u64>,
    pub objects: Vec<Object>,
    #[serde(deserialize_with = "nullable")]
    pub transition: Option<Transition>,
    #[serde(deserialize_with = "nullable")]
    pub check: Option<Check>,
}

/// What a check foretold.
#[derive(Debug, Deserialize)]
pub struct Check {
    pub outcome: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Object {
    /// Null where the system does not show it.
    #[serde(deserialize_with = "nullable")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub patched: Option<bool>,
    /// If the kernel refused to load the module because of the patch.
    #[serde(deserialize_with = "nullable")]
    pub refusal: Option<ModuleRefusal>,
    pub functions: Vec<Function>,
}

/// Why a patch was refused.
#[derive(Debug, Clone, Deserialize)]
pub struct Refusal {
    #[serde(deserialize_with = "nullable")]
    pub errno: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    pub cause: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub meaning: Option<String>,
}

impl Refusal {
    /// The cause and its meaning.
    pub fn text(&self) -> String {
        let parts = [self.cause.as_deref(), self.meaning.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

#[derive(Debug, Deserialize)]
pub struct ModuleRefusal {
    pub at: String,
    #[serde(deserialize_with = "nullable")]
    pub errno: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    pub cause: Option<String>,
    pub times: u32,
}

#[derive(Debug, Deserialize)]
pub struct Function {
    pub name: String,
    pub sympos: u64,
    #[serde(deserialize_with = "nullable")]
    pub calls: Option<Calls>,
    #[serde(deserialize_with = "nullable")]
    pub not_counted: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Transition {
    pub direction: String,
    #[serde(deserialize_with = "nullable")]
    pub started_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub age_seconds: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub tasks_total: Option<usize>,
    #[serde(deserialize_with = "nullable")]
    pub tasks_remaining: Option<usize>,
    #[serde(deserialize_with = "nullable")]
    pub tries: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub signals: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub tries_in_all: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub signals_in_all: Option<u64>,
    /// Null where neither the start nor any progress is known.
    #[serde(deserialize_with = "nullable")]
    pub phase: Option<String>,
    pub blockers: Vec<Blocker>,
    #[serde(deserialize_with = "nullable")]
    pub waits_for: Option<Wait>,
}

/// What a transition waits for if it is no task.
#[derive(Debug, Deserialize)]
pub struct Wait {
    pub reason: String,
    #[serde(deserialize_with = "nullable")]
    pub callback: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub function: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub tid: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    pub since_seconds: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub holder: Option<Holder>,
}

/// A task that keeps a CPU for itself.
#[derive(Debug, Deserialize)]
pub struct Holder {
    pub cpu: u32,
    pub tid: i32,
    pub policy: String,
    #[serde(deserialize_with = "nullable")]
    pub priority: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub struct Blocker {
    pub tid: i32,
    pub tgid: i32,
    pub comm: String,
    pub kthread: bool,
}

#[derive(Debug, Deserialize)]
pub struct Past {
    /// Null where only the kernel log tells of it, and names no patch.
    #[serde(deserialize_with = "nullable")]
    pub patch: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub engine: Option<String>,
    /// Null for one refused before its transition began.
    #[serde(deserialize_with = "nullable")]
    pub direction: Option<String>,
    pub outcome: String,
    #[serde(deserialize_with = "nullable")]
    pub refusal: Option<Refusal>,
    #[serde(deserialize_with = "nullable")]
    pub tries: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub signals: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub tries_in_all: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub signals_in_all: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub recorded_after_ms: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub check: Option<Check>,
    #[serde(deserialize_with = "nullable")]
    pub stopped: Option<Stopped>,
}

impl Document {
    pub fn find(&self, patch: &str) -> Option<&Patch> {
        self.patches.iter().find(|one| one.name == patch)
    }

    pub fn patch(&self, patch: &str) -> Result<&Patch> {
        self.find(patch)
            .with_context(|| format!("status does not list {patch}: {self:?}"))
    }

    pub fn transition(&self, patch: &str) -> Result<&Transition> {
        self.patch(patch)?
            .transition
            .as_ref()
            .with_context(|| format!("status shows no transition of {patch}: {self:?}"))
    }

    /// The newest finished transition of that patch.
    pub fn last(&self, patch: &str) -> Option<&Past> {
        self.last_transitions
            .iter()
            .find(|past| past.patch.as_deref() == Some(patch))
    }
}

impl Patch {
    pub fn object(&self, name: &str) -> Result<&Object> {
        self.objects
            .iter()
            .find(|object| object.name.as_deref() == Some(name))
            .with_context(|| format!("{} lists no object {name}: {self:?}", self.name))
    }
}

impl Past {
    /// Why the patch was refused; empty if it was not, or for an unknown reason.
    pub fn why(&self) -> String {
        self.refusal.as_ref().map(Refusal::text).unwrap_or_default()
    }

    /// The error with which it was refused.
    pub fn errno(&self) -> Option<i32> {
        self.refusal.as_ref()?.errno
    }
}

impl Transition {
    pub fn phase(&self) -> Result<&str> {
        self.phase
            .as_deref()
            .with_context(|| format!("no phase is told: {self:?}"))
    }

    /// The tasks left, for comparison with the scenarios' own count.
    pub fn tids(&self) -> std::collections::BTreeSet<i32> {
        self.blockers.iter().map(|blocker| blocker.tid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"name":"vmlinux","patched":null,"refusal":null,"functions":[]}"#;

    #[test]
    fn null_is_accepted_where_it_is_promised() {
        let object: Object = serde_json::from_str(OBJECT).unwrap();
        assert_eq!(object.patched, None);
    }

    #[test]
    fn a_missing_field_breaks_the_contract() {
        let without = OBJECT.replace(r#""patched":null,"#, "");
        assert!(serde_json::from_str::<Object>(&without).is_err());
    }
}
