//! What the page is made of: all there, small, kept to itself; and the snapshots
//! its browser test shows are such as the daemon gives.

use std::path::Path;

use strum::IntoEnumIterator as _;

use super::*;
use crate::model::{Reason, Snapshot};

/// The page may not grow beyond this.
const LARGEST: usize = 60 * 1024;

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
    let html = FILES[0].2;
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
    for (path, kind, text) in FILES {
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

#[test]
fn the_page_is_small_and_whole() {
    let size: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
    assert!(size < LARGEST, "{size} bytes");
    let is_served = |path: &str| FILES.iter().any(|(served, ..)| *served == path);
    for (path, _, text) in FILES.iter().filter(|(_, kind, _)| *kind == JS) {
        for import in text.lines().filter_map(|line| line.split_once(" from '.")) {
            let name = import.1.trim_end_matches("';");
            let folder = if name.starts_with("/parts") {
                ""
            } else {
                "/parts"
            };
            assert!(is_served(&format!("{folder}{name}")), "{path}: {name}");
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/daemon/page/parts");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name();
        assert!(is_served(&format!("/parts/{}", name.display())), "{name:?}");
    }
}

#[test]
fn no_other_host_is_asked_and_nothing_is_set_as_markup() {
    for (path, _, text) in FILES {
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

/// A field that is added to or taken from the snapshot shows up here, so that
/// the browser test goes on showing what the daemon gives.
#[test]
fn the_browser_tests_snapshots_are_the_daemons() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/page/snapshots");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        let snapshot: Snapshot = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = serde_json::to_value(snapshot).unwrap();
        assert_eq!(again, told, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}
