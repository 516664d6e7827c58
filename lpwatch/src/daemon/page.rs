//! The status page at `/` and the history at `/history`: embedded files, each with
//! headers that keep the pages from loading anything else.
//!
//! The pages request `GET` of `/api/v1/status` and `/api/v1/stream`, and of
//! `/api/v1/history` and `/api/v1/events/stream`, from the server that they came from,
//! and nothing from any other. Their paths are relative, so they also work below a path
//! of a reverse proxy.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE},
    routing::get,
};

/// The headers of every file, one `Name: value` per line. The browser test
/// sends the same.
const HEADERS: &str = include_str!("page/headers.txt");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// A file of a page: its path, type and text.
type File = (&'static str, &'static str, &'static str);

/// The files of the history. It also uses the style and some parts of the status page.
const HISTORY: &[File] = &[
    ("/history", HTML, include_str!("page/history/index.html")),
    (
        "/history/history.css",
        CSS,
        include_str!("page/history/history.css"),
    ),
    (
        "/history/history.js",
        JS,
        include_str!("page/history/history.js"),
    ),
    (
        "/history/course.js",
        JS,
        include_str!("page/history/course.js"),
    ),
    (
        "/history/records.js",
        JS,
        include_str!("page/history/records.js"),
    ),
    (
        "/history/event-link.js",
        JS,
        include_str!("page/history/event-link.js"),
    ),
];

/// The files of the status page.
const STATUS: &[File] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", JS, include_str!("page/page.js")),
    (
        "/parts/blockers.js",
        JS,
        include_str!("page/parts/blockers.js"),
    ),
    (
        "/parts/burndown.js",
        JS,
        include_str!("page/parts/burndown.js"),
    ),
    ("/parts/calls.js", JS, include_str!("page/parts/calls.js")),
    ("/parts/dom.js", JS, include_str!("page/parts/dom.js")),
    (
        "/parts/patches.js",
        JS,
        include_str!("page/parts/patches.js"),
    ),
    ("/parts/rest.js", JS, include_str!("page/parts/rest.js")),
    ("/parts/stream.js", JS, include_str!("page/parts/stream.js")),
    (
        "/parts/transition.js",
        JS,
        include_str!("page/parts/transition.js"),
    ),
    (
        "/parts/verdict.js",
        JS,
        include_str!("page/parts/verdict.js"),
    ),
    ("/parts/words.js", JS, include_str!("page/parts/words.js")),
];

/// The files of both pages.
fn files() -> impl Iterator<Item = &'static File> {
    STATUS.iter().chain(HISTORY)
}

/// The pages' routes, to be merged into the router of the API; `metrics` is the
/// path of the metrics there.
pub(super) fn router<S>(metrics: &str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    files().fold(Router::new(), |router, file| {
        let (path, kind, text) = *file;
        let text = Bytes::from(linked(text, metrics));
        router.route(path, get(async move || (headers(kind), text)))
    })
}

/// Whether a page has a file at this path, which the metrics then cannot use.
pub(super) fn is_at(path: &str) -> bool {
    files().any(|(own, ..)| *own == path)
}

/// Points the page's link to the path of the metrics.
fn linked(text: &str, metrics: &str) -> String {
    let relative = metrics.trim_start_matches('/');
    text.replace("href=\"metrics\"", &format!("href=\"{relative}\""))
}

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers: HeaderMap = HEADERS.lines().filter_map(header).collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
}

fn header(line: &'static str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_static(value)))
}

#[cfg(test)]
mod tests;
