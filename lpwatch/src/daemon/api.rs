//! The daemon's HTTP API: its state as JSON.
//!
//! The same handlers serve the Unix socket and TCP. Over the Unix socket each
//! request makes the loop read the host again, because `lpwatch status` shows
//! the present state. Over TCP the loop reads it at most once a second,
//! whatever the number of clients.

mod events;
mod report;

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::StreamExt;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::WatchStream;

use crate::{
    model::{
        Snapshot, TaskReport, calls::report::CallsReport, check::CheckReport,
        document::DocumentHead, snapshot::PastTransition, task_report::TasksDocument,
    },
    observe::{follow::FollowHandle, observer::is_attaching},
};

use super::{
    event_log::EventLog,
    metrics,
    web::{parameters::Sent, words},
};

pub(super) use events::{event_stream, events, history};
pub(super) use report::report;

/// Over TCP, a state younger than this is sent as it is.
const FRESH: SignedDuration = SignedDuration::from_secs(1);

/// Streams served at a time: each gets every snapshot there is.
const STREAMS: usize = 32;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The tool, over the daemon's own Unix socket (root and its group).
    Own,
    /// Prometheus, browsers and other clients.
    Web,
}

/// The JSON Schema of all documents: docs/schema.json.
pub(super) async fn schema() -> impl IntoResponse {
    const SCHEMA: &str = include_str!("../../../docs/schema.json");
    ([(CONTENT_TYPE, "application/schema+json")], SCHEMA)
}

/// What the handlers share.
pub(super) struct Api {
    followed: FollowHandle,
    door: Origin,
    /// Held by the request that makes the loop read the host, over TCP.
    turn: tokio::sync::Mutex<()>,
    written: Mutex<SerializedSnapshot>,
    streams: Arc<Semaphore>,
    events: Arc<EventLog>,
    /// Held while a report is written.
    reports: tokio::sync::Mutex<()>,
}

/// The latest state as JSON: all clients share one text.
#[derive(Default)]
struct SerializedSnapshot {
    of: Option<Arc<Snapshot>>,
    texts: HashMap<&'static str, Bytes>,
}

/// The transitions of a host that ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "TransitionsDocument"))]
pub(crate) struct TransitionHistory<'a> {
    #[serde(flatten)]
    head: &'a DocumentHead,
    /// Transitions that ended, newest first, at most 32.
    last_transitions: &'a [PastTransition],
}

impl Api {
    pub fn new(followed: FollowHandle, events: Arc<EventLog>, door: Origin) -> Arc<Self> {
        Arc::new(Self {
            followed,
            door,
            turn: tokio::sync::Mutex::default(),
            written: Mutex::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            events,
            reports: tokio::sync::Mutex::default(),
        })
    }

    async fn snapshot(&self) -> Arc<Snapshot> {
        match self.door {
            Origin::Own => self.followed.request().await,
            Origin::Web => {
                let _turn = self.turn.lock().await;
                let last = self.followed.snapshots.borrow().clone();
                let age = Timestamp::now().duration_since(last.head.taken_at);
                // After the clock was set back, the state counts as old, not as
                // fresh for ever.
                if age.is_negative() || age >= FRESH {
                    return self.followed.request().await;
                }
                last
            }
        }
    }

    /// `of` as JSON, serialized once for each snapshot.
    fn json<T: Serialize>(
        &self,
        snapshot: &Arc<Snapshot>,
        name: &'static str,
        of: impl FnOnce() -> T,
    ) -> serde_json::Result<Bytes> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |held: &Arc<Snapshot>| Arc::ptr_eq(held, snapshot);
        if !written.of.as_ref().is_some_and(is_same) {
            *written = SerializedSnapshot {
                of: Some(snapshot.clone()),
                texts: HashMap::new(),
            };
        }
        if let Some(text) = written.texts.get(name) {
            return Ok(text.clone());
        }
        let text = Bytes::from(serde_json::to_vec(&of())?);
        written.texts.insert(name, text.clone());
        Ok(text)
    }
}

fn answer(text: serde_json::Result<Bytes>) -> Response {
    match text {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a response cannot be written as JSON");
            words(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The response cannot be written as JSON. The daemon's log has the reason.",
            )
        }
    }
}

pub(super) async fn status(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer(api.json(&snapshot, "status", || &*snapshot))
}

/// What `lpwatch tasks -o json` prints.
pub(super) async fn tasks(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer({
        let report = TaskReport::of(&snapshot, None);
        let text = serde_json::to_vec(&TasksDocument::of(&snapshot, report.as_ref()));
        text.map(Bytes::from)
    })
}

/// What `lpwatch calls -o json` prints.
pub(super) async fn calls(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer(api.json(&snapshot, "calls", || CallsReport::of(&snapshot, None)))
}

pub(super) async fn transitions(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    let Snapshot {
        head,
        last_transitions,
        ..
    } = &*snapshot;
    let transitions = || TransitionHistory {
        head,
        last_transitions,
    };
    answer(api.json(&snapshot, "transitions", transitions))
}

/// The last snapshot, not a new one: a scrape never reads the tasks.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.followed.snapshots.borrow().clone();
    let totals = api.followed.totals.borrow().clone();
    let rendered = metrics::render_all(&snapshot, &totals, api.events.is_written());
    match rendered {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            words(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The metrics cannot be written. The daemon's log has the reason.",
            )
        }
    }
}

pub(super) async fn note_check(
    State(api): State<Arc<Api>>,
    Sent(report): Sent<CheckReport>,
) -> StatusCode {
    api.followed.note_check(report).await;
    StatusCode::NO_CONTENT
}

/// Sends each snapshot as a server-sent event, beginning with the latest. A
/// slow reader misses some, but never the latest.
pub(super) async fn stream(State(api): State<Arc<Api>>) -> Response {
    let Ok(permit) = api.streams.clone().try_acquire_owned() else {
        return words(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many streams are open. Close one and try again.",
        );
    };
    let viewer = api.followed.view();
    let snapshots = WatchStream::new(api.followed.snapshots.clone());
    let events = snapshots.map(move |snapshot| {
        let _for_as_long_as_it_is_read = (&permit, &viewer);
        let text = api.json(&snapshot, "status", || &*snapshot);
        Ok::<_, Infallible>(event(text))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn event(text: serde_json::Result<Bytes>) -> Event {
    let text = text.map_err(|error| error.to_string());
    if let Ok(Ok(text)) = text.as_deref().map(std::str::from_utf8) {
        return Event::default().data(text);
    }
    tracing::warn!(?text, "a snapshot cannot be written as JSON");
    Event::default().comment("unwritable")
}

/// Shows that the process answers.
pub(super) async fn healthy() -> &'static str {
    "lpwatch answers.\n"
}

/// Shows that the loop runs, so that the state is up to date.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    // The channel is open as long as the loop runs.
    if api.followed.snapshots.has_changed().is_ok() {
        if is_attaching(&api.followed.snapshots.borrow()) {
            return words(
                StatusCode::SERVICE_UNAVAILABLE,
                "lpwatch is attaching its hooks, and answers without them meanwhile.",
            );
        }
        words(StatusCode::OK, "lpwatch follows transitions.")
    } else {
        words(
            StatusCode::SERVICE_UNAVAILABLE,
            "lpwatch no longer follows transitions: its loop has ended.",
        )
    }
}
