//! What `lpwatch events` and `lpwatch history` share: the daemon or the file, and the
//! time from which to show something.

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use crate::{
    daemon::client::Client,
    error::Error,
    history::{DEFAULT_DIR, EntryFilter, HistoryError, RecordFilter, Store, file},
    kernel::host::Host,
    model::{
        document::{DocumentHead, Source},
        journal::{EventsDocument, HistoryDocument},
    },
};

use super::{args::Globals, snapshots};

/// How to start the daemon.
const START: &str = "To start it:\n    systemctl start lpwatch";

/// Where the history is if no daemon is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct PastArgs {
    /// Without a daemon: read the history in this folder.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    history_dir: PathBuf,
}

/// Who is asked.
pub enum Past {
    Daemon(Client),
    File(Store),
}

impl PastArgs {
    /// The daemon, or the file if none runs. `what` is what is asked for.
    pub async fn open(&self, globals: &Globals, what: &str) -> Result<Past, Error> {
        match snapshots::connect(globals).await {
            Ok(client) => return Ok(Past::Daemon(client)),
            Err(missing) => {
                if let Some(note) = missing.note()? {
                    tracing::warn!("{note}");
                }
            }
        }
        let read = Store::read(&self.history_dir).map_err(|error| match error {
            HistoryError::Missing { .. } => Error::NoHistory(format!(
                "No daemon runs, and {} does not exist: no {what} are known. The daemon records \
                 them. {START}",
                file(&self.history_dir).display()
            )),
            error => Error::History(error),
        });
        read.map(Past::File)
    }
}

impl Past {
    /// The events that `filter` describes.
    pub async fn events(
        &mut self,
        globals: &Globals,
        filter: &EntryFilter,
    ) -> Result<EventsDocument, Error> {
        match self {
            Self::Daemon(client) => {
                let path = query(
                    "/api/v1/events",
                    &[
                        ("patch", filter.patch.clone()),
                        ("since", filter.since.map(|since| since.to_string())),
                        ("limit", Some(filter.limit.to_string())),
                    ],
                );
                client.document(&path).await
            }
            Self::File(store) => Ok(EventsDocument {
                head: head(globals),
                daemon: false,
                events: store.entries(filter).map_err(Error::History)?,
                notes: Vec::new(),
            }),
        }
    }

    /// The transitions that `filter` describes, newest first.
    pub async fn records(
        &mut self,
        globals: &Globals,
        filter: &RecordFilter,
    ) -> Result<HistoryDocument, Error> {
        match self {
            Self::Daemon(client) => {
                let outcome = filter.outcome.map(|outcome| outcome.name().to_owned());
                let path = query(
                    "/api/v1/history",
                    &[
                        ("id", filter.id.map(|id| id.to_string())),
                        ("patch", filter.patch.clone()),
                        ("outcome", outcome),
                        ("since", filter.since.map(|since| since.to_string())),
                        ("limit", Some(filter.limit.to_string())),
                    ],
                );
                client.document(&path).await
            }
            Self::File(store) => Ok(HistoryDocument {
                head: head(globals),
                daemon: false,
                transitions: store.records(filter).map_err(Error::History)?,
            }),
        }
    }
}

/// The error if something needs a daemon and none runs.
pub fn needs_daemon(what: &str) -> Error {
    Error::NoHistory(format!("{what} needs a daemon, and none runs. {START}"))
}

/// The head of a document that is made from the file.
pub fn head(globals: &Globals) -> DocumentHead {
    let host = Host::of(&globals.roots());
    DocumentHead::new(host.node, host.release, Timestamp::now(), Source::Sysfs)
}

/// The name as in sysfs: the kernel replaces `-` in module names by `_`.
pub fn module_name(patch: &str) -> String {
    patch.replace('-', "_")
}

/// A path of the API with its parameters.
pub fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let start = format!("{path}?");
    let length = start.len();
    let mut query = form_urlencoded::Serializer::for_suffix(start, length);
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// The time from which to show something: how long ago, a date or a time.
pub fn since(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        "not a time; write for example 2h, 7d, 2026-03-01, '2026-03-01 03:10' or \
         2026-03-01T03:10:00Z"
            .to_owned()
    };
    if let Ok(ago) = long_time(text) {
        let ago = SignedDuration::try_from(ago).map_err(|_| wrong())?;
        return Timestamp::now().checked_sub(ago).map_err(|_| wrong());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = text.parse::<DateTime>().map_err(|_| wrong())?;
    let zoned = local.to_zoned(TimeZone::system()).map_err(|_| wrong())?;
    Ok(zoned.timestamp())
}

/// A time that may be long: `400d`, or as in other flags.
pub fn long_time(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').map(str::parse::<u32>);
    match days {
        Some(Ok(days)) if days > 0 => Ok(Duration::from_hours(u64::from(days) * 24)),
        _ => super::args::some_time(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_age_or_a_date() {
        let now = Timestamp::now();
        let ago = |text: &str| now.duration_since(since(text).unwrap()).as_secs();
        assert!((7199..=7200).contains(&ago("2h")));
        assert!((172_799..=172_800).contains(&ago("2d")));
        assert_eq!(
            since("2026-03-01T03:10:00Z").unwrap().to_string(),
            "2026-03-01T03:10:00Z"
        );
        assert!(since("2026-03-01").is_ok() && since("2026-03-01 03:10").is_ok());
        for bad in ["", "yesterday", "0d", "-1h"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_quoted_in_the_request() {
        let path = query(
            "/api/v1/events",
            &[("patch", Some("a&b c".to_owned())), ("after", None)],
        );
        assert_eq!(path, "/api/v1/events?patch=a%26b+c");
    }
}
