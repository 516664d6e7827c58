//! What there is to ask for, and what there is not.

use std::sync::Arc;

use lpwatch::model::totals::Totals;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{SOON, Server, body, options, past, request, snapshot, status, value};

#[tokio::test]
async fn every_address_gives_what_it_promises() {
    let server = Server::start();
    let mut shown = snapshot();
    shown.last_transitions = vec![past()];
    server.snapshots.send_replace(Arc::new(shown));
    for (path, kind, text) in [
        ("/", "text/html; charset=utf-8", "href=\"metrics\""),
        ("/page.css", "text/css; charset=utf-8", ""),
        ("/page.js", "text/javascript; charset=utf-8", ""),
        ("/history", "text/html; charset=utf-8", "history/history.js"),
        ("/history/history.js", "text/javascript; charset=utf-8", ""),
        (
            "/metrics",
            "text/plain; version=0.0.4",
            "lpwatch_build_info{",
        ),
        ("/-/healthy", "text/plain; charset=utf-8", "answers"),
        ("/-/ready", "text/plain; charset=utf-8", "follows"),
        ("/api/v1/status", "application/json", "\"host\":\"web-17\""),
        ("/api/v1/tasks", "application/json", "null"),
        ("/api/v1/calls", "application/json", "\"functions\":[]"),
        (
            "/api/v1/transitions",
            "application/json",
            "\"patch\":\"lp_fix\"",
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        assert!(
            answer.contains(&format!("content-type: {kind}\r\n")),
            "{path}: {answer}"
        );
        assert!(body(&answer).contains(text), "{path}: {answer}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; img-src 'self' data:",
            "x-content-type-options: nosniff",
            "cache-control: no-",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}: {answer}");
        }
        assert!(
            !answer.to_lowercase().contains("access-control"),
            "{answer}"
        );
    }
    let transitions: Value =
        serde_json::from_str(body(&server.get("/api/v1/transitions").await)).unwrap();
    assert_eq!(transitions["schema_version"], 2);
    assert_eq!(transitions["host"], "web-17");
    assert_eq!(transitions["last_transitions"][0]["outcome"], "completed");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let server = Server::start();
    let post = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    let with = |line: &str| request("/api/v1/status", line);
    for (said, code, words) in [
        (
            request("/api/v2/status", ""),
            404,
            "Nothing is served at /api/v2/status",
        ),
        (
            request("/../../etc/passwd", ""),
            404,
            "Nothing is served at",
        ),
        (post("/api/v1/status"), 405, "only be read"),
        (post("/api/v1/checks"), 403, "Unix socket"),
        (request("/api/v1/checks", ""), 405, "only be read"),
        (
            request("/", "").replace("GET", "DELETE"),
            405,
            "only be read",
        ),
        (with("Content-Length: 3\r\n"), 400, "must not have a body"),
        (
            with("Transfer-Encoding: chunked\r\n"),
            400,
            "must not have a body",
        ),
    ] {
        let answer = server.ask(&said).await;
        assert_eq!(status(&answer), code, "{said}: {answer}");
        assert!(body(&answer).contains(words), "{said}: {answer}");
    }
    let head = server
        .ask(&request("/metrics", "").replace("GET", "HEAD"))
        .await;
    assert_eq!((status(&head), body(&head)), (200, ""), "{head}");
    assert!(!server.ask("\u{1}\u{2}\r\n\r\n").await.contains(" 200 "));
}

#[tokio::test]
async fn a_web_site_cannot_read_it_under_its_own_name() {
    let server = Server::start();
    let named = |host: &str| request("/metrics", "").replace("localhost", host);
    for host in [
        "127.0.0.1",
        "127.0.0.1:9417",
        "[::1]:9417",
        "localhost:1",
        "WEB-17",
        "10.0.2.15",
    ] {
        assert_eq!(status(&server.ask(&named(host)).await), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9417",
        "localhost.evil.example",
        "",
        "a b",
        "127.0.0.1.evil",
    ] {
        let answer = server.ask(&named(host)).await;
        assert!(!answer.contains("lpwatch_build_info"), "{host}: {answer}");
        assert!(matches!(status(&answer), 400 | 421), "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_loop_that_has_ended_is_not_ready() {
    let mut server = Server::start();
    let (other, _) = tokio::sync::watch::channel(Arc::new(snapshot()));
    drop(std::mem::replace(&mut server.snapshots, other));
    assert_eq!(status(&server.get("/-/ready").await), 503);
    assert_eq!(status(&server.get("/-/healthy").await), 200);
    assert_eq!(status(&server.get("/api/v1/status").await), 200);
}

#[tokio::test]
async fn the_metrics_can_be_elsewhere() {
    let mut elsewhere = options(None);
    "/lpwatch/metrics".clone_into(&mut elsewhere.telemetry_path);
    let server = Server::with(&elsewhere);
    assert_eq!(status(&server.get("/lpwatch/metrics").await), 200);
    assert_eq!(status(&server.get("/metrics").await), 404);
    assert!(server.get("/").await.contains("href=\"lpwatch/metrics\""));
}

#[tokio::test]
async fn a_stream_gives_each_new_state() {
    let server = Server::start();
    let mut stream = server.connect().await;
    let said = request("/api/v1/stream", "");
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for lost in 1..=3 {
        let wanted = format!("\"events_lost\":{lost},");
        let mut next = snapshot();
        next.events_lost = lost;
        server.snapshots.send_replace(Arc::new(next));
        let mut buffer = [0; 4096];
        while !seen.contains(&wanted) {
            let read = timeout(SOON, stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0, "ended: {seen}");
            seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    assert!(seen.contains("data: {\"schema_version\":2,"), "{seen}");
}

#[tokio::test]
async fn counters_only_grow() {
    let server = Server::start();
    let total = "lpwatch_transitions_total{direction=\"patching\",outcome=\"completed\"}";
    let count =
        "lpwatch_transition_duration_seconds_count{direction=\"patching\",outcome=\"completed\"}";
    let mut last = value(&server.get("/metrics").await, total).unwrap();
    assert!(last.abs() < f64::EPSILON, "not 0 at the start: {last}");
    for nth in 1..=20 {
        server
            .totals
            .send_modify(|totals: &mut Totals| totals.note(&past()));
        // A snapshot that forgets its past takes nothing away.
        server.snapshots.send_replace(Arc::new(snapshot()));
        let metrics = server.get("/metrics").await;
        let now = value(&metrics, total).unwrap();
        assert!((now - last - 1.0).abs() < f64::EPSILON, "{last} then {now}");
        assert_eq!(value(&metrics, count), Some(f64::from(nth)));
        last = now;
    }
}
