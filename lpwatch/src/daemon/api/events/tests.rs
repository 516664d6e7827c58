//! Clients of the stream, over a socket as the daemon serves it.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::UnixListener;

use super::*;
use crate::{
    daemon::{
        api::Origin,
        client::{Client, Stream},
        web::{DEFAULT_TELEMETRY_PATH, Guard, Listener, LiveConfig, router, serve},
    },
    model::{
        journal::{EntryKind, EventLine, samples as entries},
        samples,
        totals::Totals,
    },
    observe::follow::FollowHandle,
};

/// A daemon without a kernel.
struct Served {
    log: Arc<EventLog>,
    socket: PathBuf,
    _folder: TempDir,
}

impl Served {
    fn new() -> Self {
        Self::with_history(None)
    }

    fn with_history(history: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lpwatch.sock");
        let listener = Listener::unix(UnixListener::bind(&socket).unwrap(), String::new());
        let log = Arc::new(EventLog::new(0, history));
        let events = log.clone();
        tokio::spawn(async move {
            let snapshot = Arc::new(samples::snapshot(Vec::new()));
            let (_snapshots, snapshots) = watch::channel(snapshot);
            let (_totals, totals) = watch::channel(Totals::default());
            let followed = FollowHandle::by_hand(snapshots, totals);
            let guard = Arc::new(Guard::default());
            let router = router(followed, events, Origin::Own, DEFAULT_TELEMETRY_PATH, guard);
            serve(&listener, router, &LiveConfig::default()).await;
        });
        Self {
            log,
            socket,
            _folder: folder,
        }
    }

    /// So many more events; the daemon runs meanwhile.
    async fn push(&self, number: usize) {
        let mut left = number;
        while left > 0 {
            let some = left.min(64);
            self.log.push(&mut vec![entries::entry("lp_fix"); some]);
            left -= some;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket).await.unwrap().unwrap()
    }

    async fn follow(&self, query: &str) -> Stream<EventLine> {
        let path = format!("/api/v1/events/stream{query}");
        self.client().await.events(&path).await.unwrap()
    }
}

/// Reads up to the event with this id: the number of events, and that of those that were
/// left out.
async fn read_to(stream: &mut Stream<EventLine>, last: u64) -> (u64, u64) {
    let (mut read, mut lost, mut before) = (0, 0, 0);
    while before < last {
        let entry = stream.next().await.unwrap().unwrap().entry;
        assert!(entry.id > before, "{} after {before}", entry.id);
        before = entry.id;
        if entry.kind == EntryKind::EventsLost {
            lost += entry.details.lost.unwrap();
        } else {
            read += 1;
        }
    }
    (read, lost)
}

#[tokio::test]
async fn who_does_not_read_delays_nobody_and_learns_how_many_it_missed() {
    const EVENTS: u64 = 20_000;
    let daemon = Served::new();
    let mut idle = daemon.follow("").await;
    let mut quick = daemon.follow("").await;
    let reader = tokio::spawn(async move { read_to(&mut quick, EVENTS).await });
    daemon.push(EVENTS.try_into().unwrap()).await;
    assert_eq!(*daemon.log.newest().borrow(), EVENTS);
    assert_eq!(reader.await.unwrap(), (EVENTS, 0), "one that reads has all");
    // The daemon answers others.
    let asked = "/api/v1/events?limit=1";
    let document: EventsDocument = daemon.client().await.document(asked).await.unwrap();
    assert_eq!(document.events[0].id, EVENTS);
    let (read, lost) = read_to(&mut idle, EVENTS).await;
    assert_eq!(read + lost, EVENTS);
    // What waited for it: the newest that the log holds, and what fits into buffers.
    assert!(read < EVENTS / 4, "{read} events were kept for it");
    daemon.push(1).await;
    assert_eq!(read_to(&mut idle, EVENTS + 1).await, (1, 0));
}

#[tokio::test]
async fn who_comes_back_late_learns_how_many_it_missed() {
    let daemon = Served::new();
    daemon.push(USUAL + 20).await;
    let last = *daemon.log.newest().borrow();
    let mut stream = daemon.follow("?after=5").await;
    assert_eq!(read_to(&mut stream, last).await, (1000, 15));
    let mut stream = daemon.follow("?after=500").await;
    assert_eq!(read_to(&mut stream, last).await, (520, 0));
    // Who asks for the newest has missed none.
    let mut stream = daemon.follow("?limit=3").await;
    assert_eq!(read_to(&mut stream, last).await, (3, 0));
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_it_must_be() {
    let daemon = Served::new();
    for (path, expected) in [
        (
            "/api/v1/events?since=2h",
            "answers: A parameter is wrong: since: `2h` is not a time by RFC 3339, such as \
             2026-03-01T03:10:00Z",
        ),
        (
            "/api/v1/history?id=x",
            "answers: A parameter is wrong: id: `x` is not a whole number from 0 on",
        ),
        (
            "/api/v1/events/stream?limit=-1",
            "answers: A parameter is wrong: limit: `-1` is not a whole number from 0 on",
        ),
    ] {
        let answer = daemon.client().await.document::<EventsDocument>(path).await;
        let text = answer.unwrap_err().to_string();
        assert!(text.ends_with(expected), "{text}");
    }
    let right = "/api/v1/events?since=2026-03-01T03:10:00Z&limit=3&after=1";
    let document: EventsDocument = daemon.client().await.document(right).await.unwrap();
    assert_eq!(document.events, []);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_has_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let file = crate::history::file(folder.path());
    std::fs::write(&file, [b'x'; 4096]).unwrap();
    let daemon = Served::with_history(Some(folder.path().to_owned()));
    let answer = daemon
        .client()
        .await
        .document::<HistoryDocument>("/api/v1/history")
        .await;
    let text = answer.unwrap_err().to_string();
    assert!(
        text.contains(" answers: The history cannot be read: "),
        "{text}"
    );
    assert!(text.ends_with("file is not a database"), "{text}");
}
