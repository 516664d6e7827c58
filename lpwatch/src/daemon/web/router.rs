//! The routes, one table for the Unix socket and for TCP.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, Uri, header::ALLOW},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    daemon::{
        api::{self, Api, Origin},
        event_log::EventLog,
        page,
    },
    observe::follow::FollowHandle,
};

use super::{
    guard::{self, Guard},
    words::words,
};

/// Paths that the metrics cannot have, besides those of the page.
const TAKEN: [&str; 12] = [
    "/-/healthy",
    "/-/ready",
    "/api/v1/status",
    "/api/v1/tasks",
    "/api/v1/calls",
    "/api/v1/transitions",
    "/api/v1/stream",
    "/api/v1/events",
    "/api/v1/events/stream",
    "/api/v1/history",
    "/api/v1/schema",
    "/api/v1/checks",
];

/// Checks a path for the metrics.
///
/// # Errors
/// Why the path cannot be used.
pub fn telemetry_path(path: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "/-_.~".contains(letter);
    if !path.starts_with('/') || !path.chars().all(fits) {
        return Err("write it like /metrics: letters, digits and -_.~ after a /".to_owned());
    }
    if TAKEN.contains(&path) || page::is_at(path) {
        return Err(format!("{path} is already in use by lpwatch"));
    }
    Ok(path.to_owned())
}

/// All routes; `metrics` has passed [`telemetry_path`].
pub(in crate::daemon) fn router(
    followed: FollowHandle,
    events: Arc<EventLog>,
    door: Origin,
    metrics: &str,
    guard: Arc<Guard>,
) -> Router {
    let check = match door {
        Origin::Own => post(api::note_check),
        Origin::Web => post(own_socket_only),
    };
    page::router(metrics)
        .route(metrics, get(api::metrics))
        .route("/-/healthy", get(api::healthy))
        .route("/-/ready", get(api::ready))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/schema", get(api::schema))
        .route("/api/v1/tasks", get(api::tasks))
        .route("/api/v1/calls", get(api::calls))
        .route("/api/v1/transitions", get(api::transitions))
        .route("/api/v1/stream", get(api::stream))
        .route("/api/v1/events", get(api::events))
        .route("/api/v1/events/stream", get(api::event_stream))
        .route("/api/v1/history", get(api::history))
        .route("/api/v1/history/{id}/report", get(api::report))
        .route("/api/v1/checks", check)
        .fallback(nothing_here)
        .method_not_allowed_fallback(read_only)
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .with_state(Api::new(followed, events, door))
}

async fn nothing_here(uri: Uri) -> Response {
    let text = format!(
        "Nothing is served at {}. The page at / has links to what there is.",
        uri.path()
    );
    words(StatusCode::NOT_FOUND, &text)
}

async fn read_only() -> Response {
    let answer = words(
        StatusCode::METHOD_NOT_ALLOWED,
        "This can only be read: use GET. (POST is for /api/v1/checks on the daemon's Unix socket.)",
    );
    ([(ALLOW, "GET, HEAD")], answer).into_response()
}

async fn own_socket_only() -> Response {
    words(
        StatusCode::FORBIDDEN,
        "Reports of checks are accepted on the daemon's Unix socket only.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_metrics_is_checked() {
        assert_eq!(telemetry_path("/metrics"), Ok("/metrics".to_owned()));
        assert_eq!(telemetry_path("/a/b.c"), Ok("/a/b.c".to_owned()));
        for bad in [
            "", "metrics", "/", "/-/ready", "/a b", "/{x}", "/*x", "/:x", "/a?b",
        ] {
            assert!(telemetry_path(bad).is_err(), "{bad}");
        }
    }
}
