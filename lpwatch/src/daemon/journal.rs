//! What the daemon does with news: the event log, the history, systemd's journal.

use std::{path::PathBuf, sync::Arc};

use crate::{
    error::Error,
    history::{HistoryError, HistoryWriter, Limits, Store, WriterState},
    model::{
        journal::{Entry, News, Record},
        snapshot::Severity,
    },
    observe::follow::{FollowHandle, JournalSink},
};

use super::event_log::EventLog;

/// Ids that a daemon may have given without writing them before it was killed.
const UNWRITTEN: u64 = 1024;

/// The target of the lines about events, by which systemd's journal gets them with
/// fields.
pub const EVENT_TARGET: &str = "lpwatch::event";

/// Whether and where to keep a history.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// `None`: keep none.
    pub folder: Option<PathBuf>,
    pub limits: Limits,
}

/// The event log, and what feeds it.
pub(super) struct Journaling {
    pub log: Arc<EventLog>,
    pub sink: JournalSink,
    /// What is wrong with the history; `None` if none is kept.
    pub state: Option<WriterState>,
}

/// Opens the history, and starts its thread. A history that cannot be opened is no
/// error.
pub(super) fn start(options: HistoryOptions) -> Result<Journaling, Error> {
    let HistoryOptions { folder, limits } = options;
    let Some(folder) = folder else {
        let log = Arc::new(EventLog::new(0, None));
        let sink = sink(log.clone(), None, <[Record]>::to_vec);
        return Ok(Journaling {
            log,
            sink,
            state: None,
        });
    };
    let (store, note) = match Store::open(&folder, limits) {
        Ok(opened) => (Some(opened.store), opened.note),
        Err(error) => (None, Some(cannot_open(&error))),
    };
    if let Some(note) = &note {
        tracing::warn!("{note}");
    }
    let last = store.as_ref().map_or(0, |store| match store.last_id() {
        Ok(0) => 0,
        Ok(last) => last + UNWRITTEN,
        Err(error) => {
            tracing::warn!(%error, "the history's last event is unknown");
            0
        }
    });
    let log = Arc::new(EventLog::new(last, Some(folder.clone())));
    let reader = store.as_ref().and_then(|_| Store::read(&folder).ok());
    let writer = HistoryWriter::start(folder, limits, store, note);
    let writer = writer.map_err(|source| Error::Io {
        action: "start a thread",
        source,
    })?;
    let state = writer.state();
    log.keep_state(state.clone());
    let mut reader = reader;
    let missing = move |earlier: &[Record]| {
        // It is asked once.
        let missing = reader.take().map(|store| store.missing(earlier));
        missing.and_then(Result::ok).unwrap_or_default()
    };
    let sink = sink(log.clone(), Some(writer), missing);
    Ok(Journaling {
        log,
        sink,
        state: Some(state),
    })
}

fn cannot_open(error: &HistoryError) -> String {
    format!(
        "The history cannot be opened: {error}. lpwatch goes on without it, and tries again at \
         the next event."
    )
}

fn sink(
    log: Arc<EventLog>,
    mut writer: Option<HistoryWriter>,
    mut missing: impl FnMut(&[Record]) -> Vec<Record> + Send + 'static,
) -> JournalSink {
    Box::new(move |news: News| {
        let News {
            entries,
            mut records,
            earlier,
            ..
        } = news;
        let mut all: Vec<Entry> = Vec::new();
        if !earlier.is_empty() {
            let missing = missing(&earlier);
            all.extend(missing.iter().map(Record::entry));
            records.splice(..0, missing);
        }
        all.extend(entries);
        log.push(&mut all);
        all.iter().for_each(report);
        if let Some(writer) = &mut writer {
            writer.write(all, records);
        }
    })
}

/// Writes a line, which systemd's journal gets with fields.
fn report(entry: &Entry) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "lpwatch::event",
                event = entry.kind.name(),
                event_id = entry.id,
                patch = entry.patch,
                severity = severity(entry.severity),
                engine = entry.details.engine.map(crate::model::EngineKind::name),
                direction = entry.details.direction.map(crate::model::Direction::name),
                outcome = entry.details.outcome.map(crate::model::Outcome::name),
                seconds = entry.details.seconds,
                tasks_remaining = entry.details.tasks_remaining,
                object = entry.details.object,
                errno = entry.details.errno,
                "{}",
                entry.message
            )
        };
    }
    match entry.severity {
        Severity::Note => line!(info),
        Severity::Warning => line!(warn),
        Severity::Danger => line!(error),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Danger => "danger",
    }
}

/// Shows in the snapshot what is wrong with the history; never returns.
pub(super) async fn show_state(state: Option<WriterState>, handle: FollowHandle) {
    if let Some(mut state) = state {
        loop {
            let note = state.borrow_and_update().clone();
            handle.note_history(note.map(|note| note.text)).await;
            if state.changed().await.is_err() {
                break;
            }
        }
    }
    std::future::pending::<()>().await;
}
