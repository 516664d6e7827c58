//! What the daemon tells: its events, one after the other, and its history.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::contract::{self, nullable};
use crate::guest;
use crate::lpwatch::{self, code};

/// The document of `lpwatch events -o json`.
#[derive(Debug, Deserialize)]
pub struct Document {
    pub schema_version: u64,
    pub daemon: bool,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    pub id: u64,
    pub at: String,
    pub boot_seconds: f64,
    #[serde(deserialize_with = "nullable")]
    pub boot_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub patch: Option<String>,
    pub kind: String,
    pub severity: String,
    pub message: String,
    pub details: Details,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Details {
    #[serde(deserialize_with = "nullable")]
    pub outcome: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub direction: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub errno: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub seconds: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub cause: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub tid: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    pub comm: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub uid: Option<u32>,
}

/// The document of `lpwatch history -o json`.
#[derive(Debug, Deserialize)]
pub struct History {
    pub transitions: Vec<Record>,
}

#[derive(Debug, Deserialize)]
pub struct Record {
    pub id: u64,
    #[serde(deserialize_with = "nullable")]
    pub boot_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub started_boot_seconds: Option<f64>,
    pub ended_boot_seconds: f64,
    pub unwatched_seconds: f64,
    pub reconstructed: bool,
    pub transition: contract::Past,
    pub course: Vec<Point>,
    pub blockers: Vec<Held>,
}

#[derive(Debug, Deserialize)]
pub struct Point {
    pub remaining: u32,
}

#[derive(Debug, Deserialize)]
pub struct Held {
    pub comm: String,
    pub direction: String,
    pub first_seconds: f64,
    pub last_seconds: f64,
}

/// `lpwatch history -o json` of this folder.
pub fn history(folder: &str) -> Result<History> {
    let all = ["-n", "10000", "--history-dir", folder];
    let ended = lpwatch::run(&[&["history", "-o", "json"], &all])?;
    let text = ended.expect(&[code::WELL])?.text();
    serde_json::from_str(&text).with_context(|| format!("history broke its contract: {text}"))
}

/// The events from some moment on.
pub struct Journal {
    after: u64,
}

impl Journal {
    /// From now on.
    pub fn begin() -> Result<Self> {
        let newest: Document = lpwatch::ask("/api/v1/events?limit=1")?;
        let after = newest.events.last().map_or(0, |event| event.id);
        Ok(Self { after })
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<Event>> {
        let path = format!("/api/v1/events?after={}&limit=10000", self.after);
        Ok(lpwatch::ask::<Document>(&path)?.events)
    }

    /// Waits until it has told of each of these kinds about this patch.
    pub fn expect(&self, patch: &str, kinds: &[&str]) -> Result<Vec<Event>> {
        self.wait(patch, kinds, 1)
    }

    /// Waits until so many transitions of the patch have ended.
    pub fn ended(&self, patch: &str, number: usize) -> Result<Vec<Event>> {
        self.wait(patch, &["transition_ended"], number)
    }

    fn wait(&self, patch: &str, kinds: &[&str], number: usize) -> Result<Vec<Event>> {
        let mut seen = Vec::new();
        guest::wait_until("the daemon tells of it", || {
            seen = self.all()?;
            let count = |kind: &str| {
                let of = |event: &&Event| event.kind == kind && event.is_about(patch);
                seen.iter().filter(of).count()
            };
            Ok(kinds.iter().all(|kind| count(kind) >= number))
        })
        .with_context(|| format!("{patch}: {kinds:?}: {seen:?}"))?;
        Ok(seen)
    }
}

impl Event {
    /// Whether it is about this patch; `""` is none.
    pub fn is_about(&self, patch: &str) -> bool {
        self.patch.as_deref().unwrap_or_default() == patch
    }
}
