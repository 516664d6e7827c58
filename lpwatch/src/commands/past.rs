//! What `lpwatch events` and `lpwatch history` share: the daemon or the file, and the
//! time from which to show something.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde::de::DeserializeOwned;

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

use super::{
    args::Globals,
    snapshots::{self, NoDaemon},
};

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
pub struct Past {
    /// The daemon, as long as it answers.
    client: Option<Client>,
    /// The file, once it was opened.
    store: Option<Store>,
    /// Where the file is.
    folder: PathBuf,
}

/// Who answers.
enum Answer<'a, T> {
    Daemon(T),
    File(&'a Store),
}

impl PastArgs {
    /// The daemon, or the file if none runs. `what` is what is asked for.
    pub async fn open(&self, globals: &Globals, what: &str) -> Result<Past, Error> {
        let (client, store) = match snapshots::connect(globals).await {
            Ok(client) => (Some(client), None),
            Err(NoDaemon::Failed(error)) => return Err(error),
            Err(missing) => (None, Some(self.read(missing, what)?)),
        };
        Ok(Past {
            client,
            store,
            folder: self.history_dir.clone(),
        })
    }

    /// The file, because no daemon answers.
    fn read(&self, missing: NoDaemon, what: &str) -> Result<Store, Error> {
        match Store::read(&self.history_dir) {
            Ok(store) => {
                if let Some(note) = missing.note()? {
                    tracing::warn!("{note}");
                }
                Ok(store)
            }
            Err(error) => Err(unread(missing, error, &file(&self.history_dir), what)),
        }
    }
}

/// The error if neither a daemon answers nor the file can be read, with what would help.
fn unread(missing: NoDaemon, error: HistoryError, file: &Path, what: &str) -> Error {
    let file = file.display();
    let is_missing = matches!(error, HistoryError::Missing { .. });
    match missing {
        NoDaemon::Denied(why) if is_missing => Error::NoRights(format!(
            "{why}. Without the daemon no {what} are known: {error}"
        )),
        NoDaemon::Denied(why) if error.is_permission() => {
            Error::NoRights(format!("{why}. The history cannot be read either: {error}"))
        }
        NoDaemon::Absent if is_missing => Error::NoHistory(format!(
            "No daemon runs, and {file} does not exist: no {what} are known. The daemon records \
             them. {START}"
        )),
        NoDaemon::Broken(why) if is_missing => Error::NoHistory(format!(
            "No {what} are known: {why}, and {file} does not exist"
        )),
        _ if error.is_permission() => Error::NoRights(format!(
            "cannot read the history: {error}. Run lpwatch as root"
        )),
        _ => Error::History(error),
    }
}

impl Past {
    /// The document at `path` from the daemon, or the file if none answers: also if the
    /// daemon ends before it has answered.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        globals: &Globals,
        path: &str,
    ) -> Result<Answer<'_, T>, Error> {
        if let Some(client) = &mut self.client {
            match client.document(path).await {
                Ok(document) => return Ok(Answer::Daemon(document)),
                Err(error @ Error::DaemonEnded { .. }) if globals.socket.is_none() => {
                    tracing::warn!("{error}: the history is read from its file");
                    self.client = None;
                }
                Err(error) => return Err(error),
            }
        }
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::read(&self.folder).map_err(Error::History)?,
        };
        Ok(Answer::File(self.store.insert(store)))
    }

    /// The events that `filter` describes.
    pub async fn events(
        &mut self,
        globals: &Globals,
        filter: &EntryFilter,
    ) -> Result<EventsDocument, Error> {
        let path = query(
            "/api/v1/events",
            &[
                ("patch", filter.patch.clone()),
                ("since", filter.since.map(|since| since.to_string())),
                ("limit", Some(filter.limit.to_string())),
            ],
        );
        match self.ask(globals, &path).await? {
            Answer::Daemon(document) => Ok(document),
            Answer::File(store) => Ok(EventsDocument {
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
        let outcome = filter.outcome.map(|outcome| outcome.name().to_owned());
        let path = query(
            "/api/v1/history",
            &[
                ("id", filter.id.map(|id| id.to_string())),
                ("patch", filter.patch.clone()),
                ("outcome", outcome),
                ("since", filter.since.map(|since| since.to_string())),
                ("limit", Some(filter.limit.to_string())),
                ("brief", filter.brief.then(|| "true".to_owned())),
            ],
        );
        match self.ask(globals, &path).await? {
            Answer::Daemon(document) => Ok(document),
            Answer::File(store) => Ok(HistoryDocument {
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
    use clap::Parser as _;

    use super::*;
    use crate::history::Limits;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        globals: Globals,
    }

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
    fn what_may_not_be_read_comes_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let past = |dir: &Path| PastArgs {
            history_dir: dir.to_owned(),
        };
        let denied = || NoDaemon::Denied("no permission to use /s. Run lpwatch as root".to_owned());
        let fails = |missing, dir: &Path| {
            let error = past(dir).read(missing, "events").unwrap_err();
            (error.to_string(), crate::exit::Exit::from(&error) as u8)
        };
        let (text, exit) = fails(denied(), folder.path());
        assert!(
            text.contains("Run lpwatch as root. Without the daemon no events"),
            "{text}"
        );
        assert_eq!(exit, 3);
        let (text, exit) = fails(NoDaemon::Absent, folder.path());
        assert!(text.starts_with("No daemon runs, and "), "{text}");
        assert_eq!(exit, 1);
        // A file instead of its folder cannot be read, whoever asks.
        let broken = folder.path().join("history.db");
        std::fs::write(&broken, "no history").unwrap();
        let (text, exit) = fails(denied(), folder.path());
        assert!(text.starts_with("cannot read the history: "), "{text}");
        assert_eq!(exit, 1);
    }

    #[tokio::test]
    async fn a_daemon_that_ends_instead_of_answering_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Limits::default()).unwrap());
        let socket = folder.path().join("lpwatch.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let past = async || Past {
            client: Some(Client::connect(&socket).await.unwrap().unwrap()),
            store: None,
            folder: folder.path().to_owned(),
        };
        let filter = RecordFilter::default();
        let globals = Line::parse_from(["history"]).globals;
        let document = past().await.records(&globals, &filter).await.unwrap();
        assert!(!document.daemon && document.transitions.is_empty());
        let document = past().await.events(&globals, &EntryFilter::default()).await;
        assert!(!document.unwrap().daemon);
        // One that was asked for by name has to answer.
        let given = Line::parse_from(["history", "--socket", "/s"]).globals;
        let error = past().await.records(&given, &filter).await.unwrap_err();
        assert!(matches!(error, Error::DaemonEnded { .. }), "{error}");
    }

    #[test]
    fn permission_is_asked_for_where_it_helps() {
        let refused = || HistoryError::File {
            action: "read",
            path: PathBuf::from("/h"),
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let file = Path::new("/h");
        let denied = NoDaemon::Denied("no permission to use /s. Run lpwatch as root".to_owned());
        let error = unread(denied, refused(), file, "events");
        assert!(matches!(error, Error::NoRights(_)), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("no permission to use /s. Run"), "{text}");
        assert!(
            text.contains("The history cannot be read either: cannot read /h"),
            "{text}"
        );
        let error = unread(NoDaemon::Absent, refused(), file, "events");
        assert!(matches!(error, Error::NoRights(_)), "{error}");
        assert!(
            error.to_string().ends_with(". Run lpwatch as root"),
            "{error}"
        );
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
