//! The report about one transition of the history, for a browser.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    daemon::{
        event_log::EventLog,
        web::{parameters::Parameters, words},
    },
    history::{EntryFilter, HistoryError, RecordFilter, Store},
    kernel::{Roots, host},
    model::{
        Snapshot,
        report::{MOST_EVENTS, ReportDocument, ReportTime},
    },
    observe::report_facts,
    render::report,
};

use super::{
    Api,
    events::{blocking, no_history, note, unreadable},
};

/// The file has its style in it, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The parameters of a request for a report.
#[derive(Debug, Deserialize)]
pub(in crate::daemon) struct ReportQuery {
    #[serde(default)]
    redact: Redact,
}

/// Whether names are replaced. What is neither yes nor no is refused: nobody may get
/// names that were not to be there.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum Redact {
    #[default]
    #[serde(rename = "0", alias = "false")]
    No,
    #[serde(rename = "1", alias = "true")]
    Yes,
}

/// Why there is no report.
enum Failure {
    NoSuchTransition,
    History(HistoryError),
    Redaction(serde_json::Error),
}

/// What `lpwatch report ID --html` writes.
pub(in crate::daemon) async fn report(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Parameters(query): Parameters<ReportQuery>,
) -> Response {
    let Ok(id) = id.parse() else {
        return words(
            StatusCode::BAD_REQUEST,
            "The id of a transition is a number. All of them are at /api/v1/history.",
        );
    };
    if api.events.folder().is_none() {
        return no_history();
    }
    let snapshot = api.snapshot().await;
    // It reads the history and the kernel log: one at a time.
    let _turn = api.reports.lock().await;
    let (log, roots) = (api.events.clone(), api.followed.roots.clone());
    let write = move || {
        let mut document = gather(id, &snapshot, &log, &roots)?;
        if query.redact == Redact::Yes {
            document = report_facts::redacted(document).map_err(Failure::Redaction)?;
        }
        Ok(report::html(&document))
    };
    match blocking(write).await {
        Some(Ok(html)) => answer(id, html),
        Some(Err(Failure::NoSuchTransition)) => words(
            StatusCode::NOT_FOUND,
            &format!("The history has no transition {id}. All of them are at /api/v1/history."),
        ),
        Some(Err(Failure::History(error))) => unreadable(&error.to_string()),
        Some(Err(Failure::Redaction(error))) => {
            tracing::error!(%error, "the names in a report cannot be replaced");
            words(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The names in the report cannot be replaced. The daemon's log has the reason.",
            )
        }
        None => unreadable("its thread failed"),
    }
}

fn answer(id: u64, html: String) -> Response {
    let mut response = html.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let name = format!("inline; filename=\"lpwatch-report-{id}.html\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    response
}

/// Reads the history and the kernel log.
fn gather(
    id: u64,
    snapshot: &Snapshot,
    log: &EventLog,
    roots: &Roots,
) -> Result<ReportDocument, Failure> {
    let record = log
        .folder()
        .map(|folder| {
            Store::read(folder)?.records(&RecordFilter {
                id: Some(id),
                limit: 1,
                ..RecordFilter::default()
            })
        })
        .transpose()
        .map_err(Failure::History)?
        .and_then(|records| records.into_iter().next())
        .ok_or(Failure::NoSuchTransition)?;
    let patch = record.transition.patch.clone();
    let span = ReportTime::of_ended(&record, host::boot_id(roots).as_deref());
    let (events, error) = log.read(&EntryFilter {
        patch: patch.clone(),
        limit: MOST_EVENTS,
        ..EntryFilter::default()
    });
    let events = span.of_it(events);
    let mut notes: Vec<String> = error.iter().map(note).collect();
    let patch = patch.as_deref();
    let kernel_log = report_facts::kernel_log(roots, patch, &span, &mut notes);
    let ended = Some(record);
    Ok(ReportDocument::new(
        snapshot, patch, ended, events, kernel_log, notes,
    ))
}

#[cfg(test)]
mod tests;
