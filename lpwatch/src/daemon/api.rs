//! The daemon's HTTP API.
//!
//! `GET /api/v1/status` gives the snapshot made now; `GET /api/v1/stream` gives
//! each new one as a server-sent event. `POST /api/v1/checks` takes what
//! `lpwatch check` found of a patch, to be shown beside it. `GET /metrics` is for
//! Prometheus, `GET /` the page for people.

use std::convert::Infallible;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::model::{Snapshot, check::CheckReport};

use super::{follow::Followed, metrics, page};

pub(super) fn router(followed: Followed) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/stream", get(stream))
        .route("/metrics", get(metrics))
        .route("/api/v1/checks", post(note_check))
        .merge(page::router("/metrics"))
        .with_state(followed)
}

async fn status(State(followed): State<Followed>) -> Json<Snapshot> {
    Json(Snapshot::clone(&*followed.ask().await))
}

/// The last snapshot, not a new one: a scrape never walks the tasks.
async fn metrics(State(followed): State<Followed>) -> Response {
    let snapshot = followed.snapshots.borrow().clone();
    match metrics::render(&snapshot) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "no metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn note_check(
    State(followed): State<Followed>,
    Json(report): Json<CheckReport>,
) -> StatusCode {
    followed.note_check(report).await;
    StatusCode::NO_CONTENT
}

async fn stream(
    State(followed): State<Followed>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let snapshots = WatchStream::new(followed.snapshots).map(|snapshot| {
        Ok(Event::default()
            .json_data(&*snapshot)
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "a snapshot cannot be written as JSON");
                Event::default().comment("unwritable")
            }))
    });
    Sse::new(snapshots).keep_alive(KeepAlive::default())
}
