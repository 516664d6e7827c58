//! The events: those there are, and a stream of what follows.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    daemon::{
        event_log::EventLog,
        web::{
            parameters::{self, Parameters},
            words,
        },
    },
    history::{EntryFilter, HistoryError, RecordFilter, Store},
    model::{
        Outcome,
        document::{DocumentHead, DocumentLine},
        journal::{Entry, EventsDocument, HistoryDocument, News},
    },
    observe::clock,
};

use super::{Api, answer};

/// The events or transitions of an answer, unless the request has a limit.
const USUAL: usize = 1000;

/// The most events or transitions of an answer.
const MOST: usize = 10_000;

/// The parameters of a request for events.
#[derive(Debug, Deserialize)]
pub(in crate::daemon) struct EventsQuery {
    #[serde(default, deserialize_with = "parameters::number")]
    after: Option<u64>,
    patch: Option<String>,
    #[serde(default, deserialize_with = "parameters::time")]
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "parameters::number")]
    limit: Option<usize>,
}

/// The parameters of a request for the history.
#[derive(Debug, Deserialize)]
pub(in crate::daemon) struct HistoryQuery {
    #[serde(default, deserialize_with = "parameters::number")]
    id: Option<u64>,
    patch: Option<String>,
    outcome: Option<Outcome>,
    #[serde(default, deserialize_with = "parameters::time")]
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "parameters::number")]
    limit: Option<usize>,
    brief: Option<bool>,
}

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(USUAL).min(MOST)
}

impl EventsQuery {
    fn filter(self, after: Option<u64>) -> EntryFilter {
        EntryFilter {
            patch: self.patch,
            since: self.since,
            after,
            before: None,
            limit: limit(self.limit),
        }
    }
}

impl Api {
    /// The head of a document made now.
    fn head(&self) -> DocumentHead {
        DocumentHead {
            taken_at: Timestamp::now(),
            ..self.followed.snapshots.borrow().head.clone()
        }
    }
}

/// Reads a file on a thread on which that is no harm.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let read = tokio::task::spawn_blocking(read).await;
    read.inspect_err(|error| tracing::error!(%error, "the history was not read"))
        .ok()
}

/// What `lpwatch events -o json` prints.
pub(in crate::daemon) async fn events(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<EventsQuery>,
) -> Response {
    let head = api.head();
    let log = api.events.clone();
    let after = query.after;
    let filter = query.filter(after);
    let Some((events, error)) = blocking(move || log.read(&filter)).await else {
        return unreadable("its thread failed");
    };
    let document = EventsDocument {
        head,
        daemon: true,
        events,
        notes: error.iter().map(note).collect(),
    };
    answer(serde_json::to_vec(&document).map(Bytes::from))
}

pub(super) fn note(error: &HistoryError) -> String {
    format!("Older events could not be read: {error}.")
}

pub(super) fn unreadable(why: &str) -> Response {
    let text = format!("The history cannot be read: {why}.");
    words(StatusCode::INTERNAL_SERVER_ERROR, &text)
}

pub(super) fn no_history() -> Response {
    let text = "This daemon keeps no history: it runs with --history-dir none.";
    words(StatusCode::NOT_FOUND, text)
}

/// What `lpwatch history -o json` prints.
pub(in crate::daemon) async fn history(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<HistoryQuery>,
) -> Response {
    let Some(folder) = api.events.folder().map(std::path::Path::to_owned) else {
        return no_history();
    };
    let filter = RecordFilter {
        id: query.id,
        patch: query.patch,
        outcome: query.outcome,
        since: query.since,
        limit: limit(query.limit),
        brief: query.brief.unwrap_or(false),
    };
    let head = api.head();
    let read = move || Store::read(&folder).and_then(|store| store.records(&filter));
    match blocking(read).await {
        Some(Ok(transitions)) => {
            let document = HistoryDocument {
                head,
                daemon: true,
                transitions,
            };
            answer(serde_json::to_vec(&document).map(Bytes::from))
        }
        Some(Err(error)) => unreadable(&error.to_string()),
        None => unreadable("its thread failed"),
    }
}

/// Who reads a stream of events.
struct Reader {
    api: Arc<Api>,
    log: Arc<EventLog>,
    newest: watch::Receiver<u64>,
    /// The last event that was taken from the log.
    last: u64,
    patch: Option<String>,
    queue: VecDeque<Entry>,
    _for_as_long_as_it_is_read: OwnedSemaphorePermit,
}

/// Sends each event from now on, or after the one that the client has. A slow reader
/// misses some, and learns how many.
pub(in crate::daemon) async fn event_stream(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Parameters(query): Parameters<EventsQuery>,
) -> Response {
    let Ok(permit) = api.streams.clone().try_acquire_owned() else {
        return words(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many streams are open. Close one and try again.",
        );
    };
    let log = api.events.clone();
    let newest = log.newest();
    let last = *newest.borrow();
    let resumes = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let after = resumes.or(query.after);
    let wants_earlier = after.is_some() || query.since.is_some() || query.limit.is_some();
    let patch = query.patch.clone();
    let filter = query.filter(after);
    let queue = if wants_earlier {
        let log = log.clone();
        let earlier = blocking(move || earlier(&log, &filter)).await;
        earlier.unwrap_or_default()
    } else {
        VecDeque::new()
    };
    let reader = Reader {
        last: queue.back().map_or(last, |entry| entry.id.max(last)),
        api,
        log,
        newest,
        patch,
        queue,
        _for_as_long_as_it_is_read: permit,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let entry = reader.next().await?;
        Some((Ok::<_, Infallible>(reader.event(&entry)), reader))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// The events that a client gets first. One that has read up to an event learns how many
/// after that are left out.
fn earlier(log: &EventLog, filter: &EntryFilter) -> VecDeque<Entry> {
    let (entries, error) = log.read(filter);
    let mut entries = VecDeque::from(entries);
    let mut left_out = 0;
    if filter.after.is_some()
        && entries.len() >= filter.limit
        && let Some(first) = entries.front()
    {
        left_out = log.count(&EntryFilter {
            before: Some(first.id),
            ..filter.clone()
        });
    }
    if let Some(error) = error {
        tracing::warn!(%error, "older events could not be read");
    }
    if let Some(first) = entries.front().filter(|_| left_out > 0) {
        let boot_id = first.boot_id.clone();
        let entry = News::left_out(left_out, first.id - 1, boot_id, &clock::now());
        entries.push_front(entry);
    }
    entries
}

impl Reader {
    async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.queue.pop_front() {
                return Some(entry);
            }
            self.newest
                .wait_for(|newest| *newest > self.last)
                .await
                .ok()?;
            let later = self.log.later(self.last);
            if later.lost > 0 {
                let last = self.last + later.lost;
                let boot_id = later.entries.first().and_then(|one| one.boot_id.clone());
                let left_out = News::left_out(later.lost, last, boot_id, &clock::now());
                self.queue.push_back(left_out);
            }
            if let Some(last) = later.entries.last() {
                self.last = last.id;
            }
            let is_wanted = |entry: &Entry| {
                let patch = self.patch.as_ref();
                patch.is_none_or(|patch| entry.patch.as_ref() == Some(patch))
            };
            self.queue
                .extend(later.entries.into_iter().filter(is_wanted));
        }
    }

    fn event(&self, entry: &Entry) -> Event {
        let line = serde_json::to_string(&DocumentLine::new(&self.api.head(), entry));
        match line {
            Ok(line) => Event::default().id(entry.id.to_string()).data(line),
            Err(error) => {
                tracing::warn!(%error, "an event cannot be written as JSON");
                Event::default().comment("unwritable")
            }
        }
    }
}
