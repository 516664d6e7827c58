//! Asks a running daemon over its Unix socket.

use std::{io, marker::PhantomData, path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    error::Error,
    model::{Snapshot, check::CheckReport, journal::EventLine},
    text::printable,
};

/// A live daemon answers well within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest response accepted: 50,000 blockers are about 20 MB.
const LARGEST: usize = 256 << 20;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    socket: std::path::PathBuf,
    sender: http1::SendRequest<Full<Bytes>>,
}

/// Why there is no daemon to ask.
#[derive(Debug)]
pub enum Absent {
    /// Nothing listens on the socket.
    NotRunning,
    /// A daemon may listen, but this user may not connect.
    NoPermission,
}

impl Client {
    /// Connects, or returns [`Absent`] where there is no daemon to ask.
    ///
    /// # Errors
    /// [`Error`] if a daemon listens and does not answer.
    pub async fn connect(socket: &Path) -> Result<Result<Self, Absent>, Error> {
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        Ok(Err(Absent::NotRunning))
                    }
                    io::ErrorKind::PermissionDenied => Ok(Err(Absent::NoPermission)),
                    _ => Err(Error::File {
                        action: "connect to",
                        path: socket.to_owned(),
                        source: error,
                    }),
                };
            }
        };
        let (sender, connection) = timed(socket, http1::handshake(TokioIo::new(stream))).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection was lost");
            }
        });
        Ok(Ok(Self {
            socket: socket.to_owned(),
            sender,
        }))
    }

    /// Returns the daemon's present state.
    ///
    /// # Errors
    /// [`Error::Daemon`] if the response is not as expected, [`Error::DaemonEnded`] if
    /// the daemon ends before it has answered.
    pub async fn status(&mut self) -> Result<Snapshot, Error> {
        self.document("/api/v1/status").await
    }

    /// Returns the document at this path.
    ///
    /// # Errors
    /// [`Error::Daemon`] if the response is not as expected, [`Error::DaemonEnded`] if
    /// the daemon ends before it has answered.
    pub async fn document<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        let body = self.get(path).await?.into_body();
        let bytes = self.read(body).await?;
        serde_json::from_slice(&bytes).map_err(|error| bad(&self.socket, &error))
    }

    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Error> {
        let socket = self.socket.clone();
        let mut bytes = Vec::new();
        while let Some(frame) = timeout(PATIENCE, body.frame())
            .await
            .map_err(|_| late(&socket))?
        {
            if let Ok(data) = frame
                .map_err(|error| lost_or_bad(&socket, &error))?
                .into_data()
            {
                append(&mut bytes, &data, &socket)?;
            }
        }
        Ok(bytes)
    }

    /// Returns each new snapshot from now on, beginning with the latest.
    ///
    /// # Errors
    /// [`Error::Daemon`] if the response is not as expected, [`Error::DaemonEnded`] if
    /// the daemon ends before it has answered.
    pub async fn stream(self) -> Result<Snapshots, Error> {
        self.follow("/api/v1/stream").await
    }

    /// Returns each event of the stream at this path.
    ///
    /// # Errors
    /// [`Error::Daemon`] if the response is not as expected, [`Error::DaemonEnded`] if
    /// the daemon ends before it has answered.
    pub async fn events(self, path: &str) -> Result<Stream<EventLine>, Error> {
        self.follow(path).await
    }

    async fn follow<T>(mut self, path: &str) -> Result<Stream<T>, Error> {
        let body = self.get(path).await?.into_body();
        Ok(Stream {
            socket: self.socket,
            body,
            pending: Vec::new(),
            searched: 0,
            of: PhantomData,
        })
    }

    /// Sends the result of a check of a patch.
    ///
    /// # Errors
    /// [`Error::Daemon`] if the daemon refuses it.
    pub async fn note_check(&mut self, report: &CheckReport) -> Result<(), Error> {
        let path = "/api/v1/checks";
        let body = serde_json::to_vec(report).map_err(|error| bad(&self.socket, &error))?;
        let request = Request::post(path)
            .header("host", "lpwatch")
            .header("content-type", "application/json")
            .body(Full::from(body))
            .map_err(|error| bad(&self.socket, &error))?;
        let response = timed(&self.socket, self.sender.send_request(request)).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.refusal(path, response).await),
        }
    }

    async fn get(&mut self, path: &str) -> Result<Response<Incoming>, Error> {
        let request = Request::get(path)
            .header("host", "lpwatch")
            .body(Full::default())
            .map_err(|error| bad(&self.socket, &error))?;
        let response = timed(&self.socket, self.sender.send_request(request)).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            _ => Err(self.refusal(path, response).await),
        }
    }

    /// The error of a response that is not the one asked for: its text says why.
    async fn refusal(&self, path: &str, response: Response<Incoming>) -> Error {
        let status = response.status();
        let text = match self.read(response.into_body()).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        match printable(String::from_utf8_lossy(&text).trim()) {
            text if text.is_empty() => bad(&self.socket, &format!("{path} returned {status}")),
            text => failed(
                &self.socket,
                format!("answers: {}", text.trim_end_matches('.')),
            ),
        }
    }
}

/// The snapshots of a stream.
pub type Snapshots = Stream<Snapshot>;

/// The documents of a stream of server-sent events.
#[derive(Debug)]
pub struct Stream<T> {
    socket: std::path::PathBuf,
    body: Incoming,
    pending: Vec<u8>,
    /// `pending` contains no end of an event before this position.
    searched: usize,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Stream<T> {
    /// The next document; `None` when the daemon has ended.
    ///
    /// # Errors
    /// [`Error::Daemon`] if an event contains no such document.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            let searched =
                std::mem::replace(&mut self.searched, self.pending.len().saturating_sub(1));
            if let Some(end) = find(&self.pending[searched..], b"\n\n") {
                let event: Vec<u8> = self.pending.drain(..searched + end + 2).collect();
                self.searched = 0;
                // Comments keep the connection alive; only data counts.
                let mut lines = event.split(|byte| *byte == b'\n');
                let Some(data) = lines.find_map(|line| line.strip_prefix(b"data: ")) else {
                    continue;
                };
                return serde_json::from_slice(data)
                    .map(Some)
                    .map_err(|error| bad(&self.socket, &error));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let Ok(frame) = frame else { return Ok(None) };
            if let Ok(data) = frame.into_data() {
                append(&mut self.pending, &data, &self.socket)?;
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn append(to: &mut Vec<u8>, data: &Bytes, socket: &Path) -> Result<(), Error> {
    if to.len() + data.len() > LARGEST {
        return Err(bad(socket, &"the response exceeds 256 MiB"));
    }
    to.extend_from_slice(data);
    Ok(())
}

async fn timed<T>(
    socket: &Path,
    answer: impl Future<Output = hyper::Result<T>>,
) -> Result<T, Error> {
    timeout(PATIENCE, answer)
        .await
        .map_err(|_| late(socket))?
        .map_err(|error| lost_or_bad(socket, &error))
}

fn late(socket: &Path) -> Error {
    failed(
        socket,
        format!("did not answer within {} s", PATIENCE.as_secs()),
    )
}

/// A daemon that is killed closes its connections.
fn lost_or_bad(socket: &Path, error: &hyper::Error) -> Error {
    if error.is_parse() || error.is_user() {
        bad(socket, error)
    } else {
        Error::DaemonEnded {
            socket: socket.to_owned(),
        }
    }
}

fn bad(socket: &Path, reason: &dyn std::fmt::Display) -> Error {
    failed(socket, format!("gave an invalid answer: {reason}"))
}

fn failed(socket: &Path, reason: String) -> Error {
    Error::Daemon {
        socket: socket.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::UnixListener};

    use super::*;

    /// Asks a daemon that ends in the middle of what it answers.
    async fn error_after(answer: &'static [u8]) -> Error {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lpwatch.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer).await;
        });
        let mut client = Client::connect(&path).await.unwrap().unwrap();
        client.status().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_daemon_that_is_killed_gives_no_answer_and_not_an_invalid_one() {
        for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"] {
            let error = error_after(answer).await;
            assert!(matches!(error, Error::DaemonEnded { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.ends_with(" closed the connection before it answered"),
                "{text}"
            );
        }
        let text = error_after(b"SMTP\r\n\r\n").await.to_string();
        assert!(text.contains("gave an invalid answer"), "{text}");
    }

    #[tokio::test]
    async fn the_cause_that_a_daemon_gives_is_passed_on() {
        let error = error_after(
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 47\r\n\r\n\
              The history cannot be read: file is no history\n",
        );
        let text = error.await.to_string();
        assert!(
            text.ends_with(" answers: The history cannot be read: file is no history"),
            "{text}"
        );
        let silent =
            error_after(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
        let text = silent.await.to_string();
        assert!(text.contains("status returned 500 Internal"), "{text}");
    }
}
