//! What the page is made of: all there, small, kept to itself; and the snapshots
//! its browser test shows are such as the daemon gives.

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use strum::IntoEnumIterator as _;

use super::*;
use crate::model::{
    Outcome, Reason, Snapshot,
    document::SCHEMA_VERSION,
    journal::{EventsDocument, HistoryDocument},
};

/// The pages may not grow beyond this, each without the files of the other.
const LARGEST: usize = 60 * 1024;
const LARGEST_HISTORY: usize = 24 * 1024;

const OUTCOMES: [Outcome; 6] = [
    Outcome::Completed,
    Outcome::Reversed,
    Outcome::Forced,
    Outcome::Cancelled,
    Outcome::Refused,
    Outcome::Unknown,
];

#[test]
fn every_header_is_sent() {
    let sent = headers(HTML);
    assert_eq!(sent.len(), HEADERS.lines().count() + 1);
    assert_eq!(sent[CONTENT_TYPE], HTML);
    let policy = sent["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
    ] {
        assert!(policy.contains(rule), "{rule}");
    }
    assert!(!policy.contains("unsafe"));
}

#[test]
fn the_link_to_the_metrics_leads_there() {
    let html = STATUS[0].2;
    assert_eq!(linked(html, "/metrics"), html);
    assert!(linked(html, "/a/b").contains("<a href=\"a/b\">Metrics</a>"));
}

/// As a client sees them.
#[tokio::test]
async fn every_file_is_served() {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    let service = TowerToHyperService::new(router::<()>("/metrics"));
    for (path, kind, text) in files() {
        let request = Request::get(*path).body(Body::empty()).unwrap();
        let answer = service.call(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()[CONTENT_TYPE], *kind);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, text.as_bytes(), "{path}");
    }
}

/// No compiler sees these.
#[test]
fn every_reason_is_on_the_page_and_in_the_manual() {
    let blockers = include_str!("parts/blockers.js");
    let stuck = include_str!("../../../../docs/stuck.md");
    for reason in Reason::iter().map(Reason::name) {
        for text in [format!("\t{reason}: "), format!("case '{reason}':")] {
            assert!(blockers.contains(&text), "blockers.js lacks {text}");
        }
        let heading = format!("(`{reason}`)");
        let is_explained = stuck
            .lines()
            .any(|line| line.starts_with("### ") && line.ends_with(&heading));
        assert!(is_explained, "docs/stuck.md has no section of {reason}");
    }
}

fn size(files: &[File]) -> usize {
    files.iter().map(|(_, _, text)| text.len()).sum()
}

#[test]
fn the_pages_are_small_and_whole() {
    let (status, history) = (size(STATUS), size(HISTORY));
    assert!(status < LARGEST, "{status} bytes");
    assert!(history < LARGEST_HISTORY, "{history} bytes");
    let is_served = |path: &str| files().any(|(served, ..)| *served == path);
    for (path, _, text) in files().filter(|(_, kind, _)| *kind == JS) {
        let (folder, _) = path.rsplit_once('/').unwrap();
        for import in text.lines().filter_map(|line| line.split_once(" from '")) {
            let name = import.1.trim_end_matches("';");
            let asked = match (name.strip_prefix("../"), name.strip_prefix("./")) {
                // Folders are one deep.
                (Some(above), _) => format!("/{above}"),
                (None, Some(beside)) => format!("{folder}/{beside}"),
                (None, None) => panic!("{path}: {name}"),
            };
            assert!(is_served(&asked), "{path}: {name}");
        }
    }
    for folder in ["parts", "history"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/daemon/page");
        for file in std::fs::read_dir(path.join(folder)).unwrap() {
            let name = file.unwrap().file_name();
            let is_there = is_served(&format!("/{folder}/{}", name.display()));
            assert!(is_there || name == "index.html", "{name:?}");
        }
    }
}

/// Otherwise each page says that it is out of date.
#[test]
fn the_pages_know_the_schema_version() {
    let known = format!("const SCHEMA = {SCHEMA_VERSION};");
    for page in ["/page.js", "/history/history.js"] {
        let (_, _, text) = files().find(|(path, ..)| *path == page).unwrap();
        assert!(text.contains(&known), "{page}");
    }
}

#[test]
fn no_other_host_is_asked_and_nothing_is_set_as_markup() {
    for (path, _, text) in files() {
        let text = text
            .replace("http://www.w3.org/2000/svg", "")
            .to_ascii_lowercase();
        for never in [
            "http:",
            "https:",
            "innerhtml",
            "outerhtml",
            "document.write",
            "style=",
        ] {
            assert!(!text.contains(never), "{path}: {never}");
        }
    }
}

/// A field that is added to or taken from a document shows up here, so that the browser
/// test goes on showing what the daemon gives.
fn is_as_the_daemon_gives_it<T: DeserializeOwned + Serialize>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let document: T =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let again = serde_json::to_value(&document).unwrap();
    assert_eq!(again, told, "{}", path.display());
    document
}

fn recorded(folder: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/page");
    tests.join(folder)
}

#[test]
fn the_browser_tests_snapshots_are_the_daemons() {
    let mut seen = 0;
    for file in std::fs::read_dir(recorded("snapshots")).unwrap() {
        is_as_the_daemon_gives_it::<Snapshot>(&file.unwrap().path());
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_browser_tests_history_is_the_daemons() {
    let folder = recorded("history");
    let history: HistoryDocument = is_as_the_daemon_gives_it(&folder.join("transitions.json"));
    let events: EventsDocument = is_as_the_daemon_gives_it(&folder.join("events.json"));
    let with_outcome = |outcome| {
        let mut all = history.transitions.iter();
        all.any(|record| record.transition.outcome == outcome)
    };
    for outcome in OUTCOMES {
        assert!(with_outcome(outcome), "{}", outcome.name());
    }
    assert!(events.events.iter().is_sorted_by_key(|entry| entry.id));
}

/// No compiler sees these, either.
#[test]
fn every_reason_and_outcome_is_in_the_history() {
    let records = include_str!("history/records.js");
    for reason in Reason::iter().map(Reason::name) {
        assert!(records.contains(&format!("{reason}: ")), "{reason}");
    }
    for outcome in OUTCOMES.map(Outcome::name) {
        assert!(records.contains(&format!("{outcome}: ")), "{outcome}");
    }
}
