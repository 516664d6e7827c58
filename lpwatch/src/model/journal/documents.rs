//! The JSON documents about events and the history.

use serde::{Deserialize, Serialize};

use crate::model::document::DocumentHead;

use super::{Entry, Record};

/// What happened on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventsDocument {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether it comes from a daemon. `false`: the command read the file of the
    /// history.
    pub daemon: bool,
    /// The events, oldest first.
    pub events: Vec<Entry>,
    /// What could not be read, one note each.
    pub notes: Vec<String>,
}

/// The transitions that the history contains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryDocument {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether it comes from a daemon. `false`: the command read the file of the
    /// history.
    pub daemon: bool,
    /// The transitions, newest first.
    pub transitions: Vec<Record>,
}

/// An event with the head of a document, as it is streamed.
#[derive(Clone, Debug, Deserialize)]
pub struct EventLine {
    #[serde(flatten)]
    pub head: DocumentHead,
    #[serde(flatten)]
    pub entry: Entry,
}
