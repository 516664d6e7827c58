//! Slow and hostile clients.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{SOON, Server, ask_unix, options, request, status};

/// Connections served at a time on one socket.
const PLACES: usize = 64;

#[tokio::test]
async fn hundreds_of_half_open_connections_cost_nobody_else_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let mut both = options(None);
    let unix = format!("unix:{}", path.display()).parse().unwrap();
    if let lpwatch::daemon::web::Listen::On(addresses) = &mut both.listen {
        addresses.push(unix);
    }
    let server = Server::with(&both);
    let start = Instant::now();
    let mut held: Vec<TcpStream> = Vec::new();
    for nth in 0..300 {
        let mut stream = server.connect().await;
        let said: &[u8] = if nth % 2 == 0 { b"" } else { b"GET /met" };
        let _ = stream.write_all(said).await;
        held.push(stream);
    }
    for _ in 0..20 {
        let answer = ask_unix(&path, &request("/metrics", "")).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    // The longest idle ones have made room, without a word.
    let mut open = Vec::new();
    for stream in &mut held {
        let mut answer = [0; 12];
        match timeout(Duration::from_millis(5), stream.read(&mut answer)).await {
            Err(_) => open.push(true),
            Ok(Ok(0) | Err(_)) => open.push(false),
            Ok(Ok(_)) => panic!("{answer:?}"),
        }
    }
    assert!(start.elapsed() < Duration::from_secs(9), "too slow to tell");
    assert_eq!(open.iter().filter(|open| **open).count(), PLACES);
    assert!(open.is_sorted(), "not the longest idle ones were closed");
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert_eq!(status(&server.get(path).await), 200, "{path}");
    }
    // Nobody is asked for their place: it is the ten seconds that end the rest.
    for mut stream in held {
        let mut answer = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open");
    }
}

fn status_or_none(answer: &str) -> Option<u16> {
    (!answer.is_empty()).then(|| status(answer))
}

/// A kept connection, after a request.
async fn idle(server: &Server) -> TcpStream {
    let mut stream = server.connect().await;
    let said = request("/-/healthy", "").replace("close", "keep-alive");
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut answer = [0; 2048];
    let read = timeout(SOON, stream.read(&mut answer)).await;
    let read = read.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"), "{read}");
    stream
}

#[tokio::test]
async fn idle_connections_make_room_for_a_scrape() {
    let server = Server::start();
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(idle(&server).await);
    }
    for path in ["/-/healthy", "/metrics", "/api/v1/transitions"] {
        assert_eq!(status(&server.get(path).await), 200, "{path}");
    }
}

/// Whether it is still open, after all that has arrived on it.
async fn is_open(stream: &mut TcpStream) -> bool {
    let mut arrived = [0; 4096];
    loop {
        match timeout(Duration::from_millis(20), stream.read(&mut arrived)).await {
            Err(_) => return true,
            Ok(Ok(0) | Err(_)) => return false,
            Ok(Ok(_)) => {}
        }
    }
}

#[tokio::test]
async fn a_connection_in_use_makes_no_room() {
    let server = Server::start();
    let mut streams = Vec::new();
    for _ in 0..30 {
        let mut stream = server.connect().await;
        let said = request("/api/v1/stream", "");
        stream.write_all(said.as_bytes()).await.unwrap();
        assert!(is_open(&mut stream).await);
        streams.push(stream);
    }
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(server.connect().await);
    }
    assert_eq!(status(&server.get("/-/healthy").await), 200);
    for stream in &mut streams {
        assert!(is_open(stream).await, "a stream in use was closed");
    }
}

#[tokio::test]
async fn a_byte_a_second_is_too_slow() {
    let server = Server::start();
    let mut stream = server.connect().await;
    let start = Instant::now();
    for byte in request("/metrics", "").bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        let mut answer = [0; 64];
        if timeout(Duration::from_secs(1), stream.read(&mut answer))
            .await
            .is_ok()
        {
            break;
        }
    }
    let seconds = start.elapsed().as_secs();
    assert!((9..30).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_not_read() {
    let server = Server::start();
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1 << 20));
    let one = format!("X-Long: {}\r\n", "b".repeat(1 << 20));
    let many = "X-Many: 0123456789\r\n".repeat(2000);
    for said in [line, request("/metrics", &one), request("/metrics", &many)] {
        let answer = server.ask(&said).await;
        // It may not wait to hear what is said to it.
        let refused = matches!(status_or_none(&answer), None | Some(414 | 431));
        assert!(refused, "{answer}");
        assert_eq!(status(&server.get("/metrics").await), 200);
    }
    let fits = request("/metrics", &format!("X-Long: {}\r\n", "b".repeat(8 << 10)));
    assert_eq!(status(&server.ask(&fits).await), 200);
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let server = Server::start();
    let mut stream = server.connect().await;
    for _ in 0..5 {
        let said = request("/-/healthy", "").replace("close", "keep-alive");
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = [0; 2048];
        let read = timeout(SOON, stream.read(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"), "{read}");
    }
}
