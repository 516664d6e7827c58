//! The report over HTTP: what it contains, and what it must not.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::sync::watch;

use super::*;
use crate::{
    daemon::api::Origin,
    history::Limits,
    model::{
        journal::{Details, samples as journal},
        samples,
        totals::Totals,
    },
    observe::follow::FollowHandle,
};

/// A daemon's API with one transition of this boot in its history.
async fn ask(folder: Option<&std::path::Path>, path: &str) -> (StatusCode, String, String) {
    let mut snapshot = samples::stalled();
    snapshot.head.taken_at = Timestamp::now();
    let (_publish, snapshots) = watch::channel(Arc::new(snapshot));
    let (_totals, totals) = watch::channel(Totals::default());
    let log = Arc::new(EventLog::new(0, folder.map(Into::into)));
    let mut entry = journal::entry("lp_fix");
    entry.details = Details {
        comm: Some("postgres-main".to_owned()),
        ..Details::default()
    };
    entry.message = "postgres-main was in the way.".to_owned();
    log.push(&mut [entry]);
    let api = Api::new(FollowHandle::by_hand(snapshots, totals), log, Origin::Web);
    let router = Router::new()
        .route("/api/v1/history/{id}/report", get(report))
        .with_state(api);
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = TowerToHyperService::new(router)
        .call(request)
        .await
        .unwrap();
    let status = answer.status();
    let policy = answer.headers().get(CONTENT_SECURITY_POLICY);
    let policy = policy
        .map_or("", |policy| policy.to_str().unwrap())
        .to_owned();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, policy, String::from_utf8(body.to_vec()).unwrap())
}

fn history() -> (tempfile::TempDir, u64) {
    let folder = tempfile::tempdir().unwrap();
    let entry = journal::entry("lp_fix");
    let mut record = journal::completed("lp_fix", 600);
    record.boot_id.clone_from(&entry.boot_id);
    record.started_boot_seconds = Some(entry.boot_seconds - 1.0);
    record.ended_boot_seconds = entry.boot_seconds + 1.0;
    let limits = Limits {
        age: Duration::from_hours(24 * 365 * 100),
        ..Limits::default()
    };
    let mut store = Store::open(folder.path(), limits).unwrap().store;
    store.add(&[], &[record]).unwrap();
    let records = store.records(&RecordFilter {
        limit: 1,
        ..RecordFilter::default()
    });
    let id = records.unwrap()[0].id;
    (folder, id)
}

#[tokio::test]
async fn it_is_the_file_that_the_command_writes() {
    let (folder, id) = history();
    let (status, policy, page) =
        ask(Some(folder.path()), &format!("/api/v1/history/{id}/report")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"));
    for part in [
        "lp_fix",
        "Tasks left over time",
        "postgres-main was in the way.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("<meta http-equiv=\"Content-Security-Policy\""));
}

#[tokio::test]
async fn names_are_replaced_on_request_and_never_by_guess() {
    let (folder, id) = history();
    let report = format!("/api/v1/history/{id}/report");
    let (status, _, page) = ask(Some(folder.path()), &format!("{report}?redact=1")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("PROGRAM1 was in the way."), "{page}");
    for name in ["postgres", samples::stalled().head.host.as_str()] {
        assert!(!page.contains(name), "{name}: {page}");
    }
    for unclear in ["redact", "redact=yes", "redact=1&redact=0"] {
        let (status, ..) = ask(Some(folder.path()), &format!("{report}?{unclear}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{unclear}");
    }
    let (status, _, words) = ask(Some(folder.path()), "/api/v1/history/x/report").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        words.starts_with("The id of a transition is a number."),
        "{words}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let (folder, id) = history();
    let ask_of = async |folder, path: String| {
        let (status, _, words) = ask(folder, &path).await;
        (status.as_u16(), words)
    };
    let (status, words) = ask_of(
        Some(folder.path()),
        format!("/api/v1/history/{}/report", id + 1),
    )
    .await;
    assert_eq!(status, 404);
    assert!(words.contains("has no transition"), "{words}");
    let (status, words) = ask_of(None, format!("/api/v1/history/{id}/report")).await;
    assert_eq!(status, 404);
    assert!(words.contains("--history-dir none"), "{words}");
    let nonsense = "/api/v1/history/x/report".to_owned();
    assert_eq!(ask_of(Some(folder.path()), nonsense).await.0, 400);
}
