//! A server with a state made by hand, and clients that say what they like.

use std::{path::Path, sync::Arc, time::Duration};

use lpwatch::{
    daemon::web::{DEFAULT_TELEMETRY_PATH, Listen, ListenAddress, Web, WebOptions},
    model::{Snapshot, snapshot::PastTransition, totals::Totals},
    observe::follow::FollowHandle,
};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// For what should come at once: only what never comes runs into it.
pub const SOON: Duration = Duration::from_mins(1);

pub struct Server {
    pub port: u16,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    pub totals: watch::Sender<Totals>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn options(config_file: Option<&Path>) -> WebOptions {
    WebOptions {
        listen: Listen::On(vec!["127.0.0.1:0".parse().unwrap()]),
        telemetry_path: DEFAULT_TELEMETRY_PATH.to_owned(),
        config_file: config_file.map(Path::to_owned),
    }
}

impl Server {
    pub fn start() -> Self {
        Self::with(&options(None))
    }

    pub fn with(options: &WebOptions) -> Self {
        let web = Web::bind(options).unwrap();
        let first: ListenAddress = web.addresses().next().unwrap().parse().unwrap();
        let ListenAddress::Tcp(address) = first else {
            panic!("not TCP: {first}");
        };
        let (snapshots, seen) = watch::channel(Arc::new(snapshot()));
        let (totals, ended) = watch::channel(Totals::default());
        let task = tokio::spawn(web.serve(FollowHandle::by_hand(seen, ended)));
        Self {
            port: address.port(),
            snapshots,
            totals,
            task,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// The whole answer to a GET.
    pub async fn get(&self, path: &str) -> String {
        self.ask(&request(path, "")).await
    }

    /// The whole answer to whatever is said.
    pub async fn ask(&self, said: &str) -> String {
        ask(self.connect().await, said).await
    }
}

pub fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

/// Says something and reads to the end, however the other side ends it.
pub async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, said: &str) -> String {
    // The other side may have heard enough half-way.
    let _ = stream.write_all(said.as_bytes()).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    let reading = async {
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..read]);
        }
    };
    timeout(SOON, reading).await.expect("no end of the answer");
    String::from_utf8(answer).unwrap()
}

pub async fn ask_unix(path: &Path, said: &str) -> String {
    ask(UnixStream::connect(path).await.unwrap(), said).await
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("no body").1
}

pub fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).expect("no status");
    code.parse().expect(answer)
}

/// The value of one series.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map(|value| value.trim().parse().unwrap())
}

pub fn snapshot() -> Snapshot {
    serde_json::from_value(json!({
        "schema_version": 2, "host": "web-17", "kernel": "6.12.0",
        "thresholds": {"slow_seconds": 15.0, "stalled_seconds": 60.0, "long_seconds": 3600.0},
        "taken_at": "2026-03-01T03:12:45Z", "source": "bpf", "daemon": true,
        "probes": [], "notes": [], "events_lost": 0, "patches": [], "watched": [],
        "last_transitions": [],
    }))
    .unwrap()
}

pub fn past() -> PastTransition {
    serde_json::from_value(json!({
        "patch": "lp_fix", "direction": "patching", "outcome": "completed",
        "started_at": null, "ended_at": "2026-03-01T03:12:40Z", "duration_seconds": 1.5,
        "refusal": null, "tries": null, "signals": null, "tasks_total": null,
        "recorded_after_ms": null,
    }))
    .unwrap()
}
