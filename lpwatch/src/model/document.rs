//! The keys with which every JSON document begins.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use strum::IntoStaticStr;

/// The version of the JSON form of all documents.
pub const SCHEMA_VERSION: u32 = 2;

/// The keys with which every JSON document begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DocumentHead {
    /// The version of all documents: 2. It changes when a key goes or changes its
    /// meaning; new keys do not change it.
    pub schema_version: u32,
    /// The node name (`uname -n`) of the host. In a document about a fleet `null`, and
    /// in a line of `lpwatch fleet hosts` the host's label.
    pub host: String,
    /// The release (`uname -r`) of its running kernel. In a document about a fleet
    /// `null`.
    pub kernel: String,
    /// When the host was inspected, by its own clock; in a document about a fleet by
    /// Prometheus's clock.
    #[serde(serialize_with = "milliseconds")]
    pub taken_at: Timestamp,
    /// Where lpwatch reads tasks from; `sysfs` if the document needs none, `prometheus`
    /// in a document about a fleet.
    pub source: Source,
}

impl DocumentHead {
    /// The head of a document in the present version.
    #[must_use]
    pub fn new(host: String, kernel: String, taken_at: Timestamp, source: Source) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            host,
            kernel,
            taken_at,
            source,
        }
    }
}

/// One item of a document as a document of its own, for `-o jsonl`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "{T}Line"))]
pub struct DocumentLine<'a, T> {
    #[serde(flatten)]
    head: &'a DocumentHead,
    #[serde(flatten)]
    item: &'a T,
}

impl<'a, T> DocumentLine<'a, T> {
    /// The line about `item`.
    #[must_use]
    pub fn new(head: &'a DocumentHead, item: &'a T) -> Self {
        Self { head, item }
    }
}

/// Where the facts of a document come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Source {
    /// The BPF task iterator.
    Bpf,
    /// `/proc/PID/task/TID/patch_state`.
    Procfs,
    /// sysfs and the files of the patching systems: no task was read.
    Sysfs,
    /// Prometheus, about a fleet.
    Prometheus,
}

/// Writes a time as RFC 3339 in UTC with milliseconds.
///
/// # Errors
/// Those of the serializer.
pub fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// [`milliseconds`] for a time that may be unknown.
pub mod optional {
    use super::{Serializer, Timestamp};

    /// Writes `null` for an unknown time.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn milliseconds<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::milliseconds(time, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_begins_with_its_head() {
        let taken_at = "2026-11-03T10:20:30.123456789Z".parse().unwrap();
        let head = DocumentHead::new("web-17".into(), "6.12.0".into(), taken_at, Source::Bpf);
        assert_eq!(
            serde_json::to_string(&head).unwrap(),
            "{\"schema_version\":2,\"host\":\"web-17\",\"kernel\":\"6.12.0\",\
             \"taken_at\":\"2026-11-03T10:20:30.123Z\",\"source\":\"bpf\"}"
        );
    }
}
