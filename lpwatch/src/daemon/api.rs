//! The daemon's HTTP API: what it knows, as JSON.
//!
//! The same handlers serve the Unix socket and TCP. Over the Unix socket each
//! question makes the loop look anew, as `lpwatch status` wants to know what is
//! now; over TCP it looks at most once a second, however many ask.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
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
        Snapshot, TaskReport,
        calls::report::CallsReport,
        check::CheckReport,
        snapshot::{PastTransition, SCHEMA_VERSION},
    },
    observe::follow::Followed,
};

use super::{metrics, web::words};

/// Over TCP, a state younger than this is shown as it is.
const FRESH: SignedDuration = SignedDuration::from_secs(1);

/// Streams served at a time: each gets every snapshot there is.
const STREAMS: usize = 32;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The tool, over the daemon's own Unix socket (root and its group).
    Own,
    /// Prometheus, browsers, whoever comes.
    Web,
}

/// What the handlers share.
pub(super) struct Api {
    followed: Followed,
    door: Door,
    /// Held by whoever makes the loop look, over TCP.
    turn: tokio::sync::Mutex<()>,
    written: Mutex<Written>,
    streams: Arc<Semaphore>,
}

/// The latest state as JSON, so that many who ask share one text.
#[derive(Default)]
struct Written {
    of: Option<Arc<Snapshot>>,
    texts: HashMap<&'static str, Bytes>,
}

/// What `GET /api/v1/transitions` gives.
#[derive(Serialize)]
struct Ended<'a> {
    schema_version: u32,
    host: &'a str,
    transitions: &'a [PastTransition],
}

impl Api {
    pub fn new(followed: Followed, door: Door) -> Arc<Self> {
        Arc::new(Self {
            followed,
            door,
            turn: tokio::sync::Mutex::default(),
            written: Mutex::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        })
    }

    async fn snapshot(&self) -> Arc<Snapshot> {
        match self.door {
            Door::Own => self.followed.ask().await,
            Door::Web => {
                let _turn = self.turn.lock().await;
                let last = self.followed.snapshots.borrow().clone();
                let age = Timestamp::now().duration_since(last.taken_at);
                // A clock that was set back makes it older, not fresh for ever.
                if age.is_negative() || age >= FRESH {
                    return self.followed.ask().await;
                }
                last
            }
        }
    }

    /// `of` as JSON, written once for each snapshot.
    fn json<T: Serialize>(
        &self,
        snapshot: &Arc<Snapshot>,
        name: &'static str,
        of: impl FnOnce() -> T,
    ) -> serde_json::Result<Bytes> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |held: &Arc<Snapshot>| Arc::ptr_eq(held, snapshot);
        if !written.of.as_ref().is_some_and(is_same) {
            *written = Written {
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
            tracing::error!(%error, "an answer cannot be written as JSON");
            words(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer cannot be written as JSON.",
            )
        }
    }
}

pub(super) async fn status(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer(api.json(&snapshot, "status", || &*snapshot))
}

/// What `lpwatch tasks -o json` prints; `null` without a transition.
pub(super) async fn tasks(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer(api.json(&snapshot, "tasks", || TaskReport::of(&snapshot, None)))
}

/// What `lpwatch calls -o json` prints.
pub(super) async fn calls(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    answer(api.json(&snapshot, "calls", || CallsReport::of(&snapshot, None)))
}

pub(super) async fn transitions(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot().await;
    let Snapshot {
        host,
        last_transitions,
        ..
    } = &*snapshot;
    let transitions = || Ended {
        schema_version: SCHEMA_VERSION,
        host,
        transitions: last_transitions,
    };
    answer(api.json(&snapshot, "transitions", transitions))
}

/// The last snapshot, not a new one: a scrape never walks the tasks.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.followed.snapshots.borrow().clone();
    let rendered = metrics::render(&snapshot, &api.followed.totals.borrow());
    match rendered {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "no metrics");
            words(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The metrics cannot be written; the daemon's log says why.",
            )
        }
    }
}

pub(super) async fn note_check(
    State(api): State<Arc<Api>>,
    Json(report): Json<CheckReport>,
) -> StatusCode {
    api.followed.note_check(report).await;
    StatusCode::NO_CONTENT
}

/// Each snapshot as a server-sent event, beginning with the latest. Who reads
/// too slowly misses some, never the latest.
pub(super) async fn stream(State(api): State<Arc<Api>>) -> Response {
    let Ok(permit) = api.streams.clone().try_acquire_owned() else {
        return words(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many streams are being read; close one.",
        );
    };
    let snapshots = WatchStream::new(api.followed.snapshots.clone());
    let events = snapshots.map(move |snapshot| {
        let _for_as_long_as_it_is_read = &permit;
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

/// That the process answers.
pub(super) async fn healthy() -> &'static str {
    "lpwatch answers.\n"
}

/// That the loop runs: what is shown is kept up to date.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    // The loop holds the other end.
    if api.followed.snapshots.has_changed().is_ok() {
        words(StatusCode::OK, "lpwatch follows transitions.")
    } else {
        words(
            StatusCode::SERVICE_UNAVAILABLE,
            "lpwatch no longer follows transitions: its loop has ended.",
        )
    }
}
