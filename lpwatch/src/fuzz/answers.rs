//! What a daemon answers, and what is sent to one.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
    runtime::Builder,
};

use super::hammer;
use crate::{
    daemon::client::Client,
    model::{
        Snapshot, Thresholds,
        check::CheckReport,
        journal::{self, EventLine},
        samples,
    },
    render::{style::Style, table},
};

fn documents() -> Vec<Vec<u8>> {
    let mut snapshots = [samples::stalled(), samples::progressing()];
    snapshots[0].last_transitions = vec![samples::refused()];
    let snapshots = snapshots.iter().map(serde_json::to_vec);
    let record = journal::samples::completed("lp_fix", 60);
    let others = [
        serde_json::to_vec(&journal::samples::entry("lp_fix")),
        serde_json::to_vec(&record),
    ];
    snapshots.chain(others).map(Result::unwrap).collect()
}

/// Any snapshot that is read can be judged, shown and written.
#[test]
fn snapshots() {
    hammer("snapshots", &documents(), |_, input| {
        let _ = serde_json::from_slice::<EventLine>(input);
        let _ = serde_json::from_slice::<CheckReport>(input);
        let _ = serde_json::from_slice::<journal::Record>(input);
        let Ok(mut snapshot) = serde_json::from_slice::<Snapshot>(input) else {
            return;
        };
        snapshot.judge(&Thresholds::default());
        let shown = table::status(&snapshot, &Style::default());
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        serde_json::to_vec(&snapshot).unwrap();
    });
}

#[test]
fn http() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lpwatch.sock");
    let listener = runtime.block_on(async { UnixListener::bind(&path).unwrap() });
    let whole = documents().swap_remove(1);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len());
    let mut seeds = vec![
        [head.as_bytes(), &whole].concat(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone".to_vec(),
    ];
    let event = [b"data: ".as_slice(), &whole, b"\n\n: alive\n\n"].concat();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    seeds.push([head.as_bytes(), &event].concat());
    hammer("http", &seeds, |index, input| {
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(input).await;
            let _ = stream.shutdown().await;
        };
        let ask = async {
            let mut client = Client::connect(&path).await.unwrap().unwrap();
            if index == 3 {
                let Ok(mut stream) = client.stream().await else {
                    return;
                };
                while let Ok(Some(_)) = stream.next().await {}
            } else {
                let _ = client.status().await;
            }
        };
        runtime.block_on(async { tokio::join!(answer, ask) });
    });
}
