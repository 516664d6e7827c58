//! The status page at `/`: embedded files, each with headers that keep the page
//! from loading anything else.
//!
//! The page requests `GET /api/v1/status` and `/api/v1/stream` from the server
//! that it came from, and nothing from any other. Its paths are relative, so it
//! also works below a path of a reverse proxy.

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

/// A file of the page: its path, type and text.
type File = (&'static str, &'static str, &'static str);

const FILES: &[File] = &[
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

/// The page's routes, to be merged into the router of the API; `metrics` is the
/// path of the metrics there.
pub(super) fn router<S>(metrics: &str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    FILES.iter().fold(Router::new(), |router, file| {
        let (path, kind, text) = *file;
        let text = Bytes::from(linked(text, metrics));
        router.route(path, get(async move || (headers(kind), text)))
    })
}

/// Whether the page has a file at this path, which the metrics then cannot use.
pub(super) fn is_at(path: &str) -> bool {
    FILES.iter().any(|(own, ..)| *own == path)
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
