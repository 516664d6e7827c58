//! Accepting connections and serving each within limits, so that a slow or
//! hostile client costs a socket and a few kilobytes for some seconds.

use std::{io, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tower::Layer;

use super::{
    config::LiveConfig,
    listen::{Listener, Socket},
};

/// Connections served at a time, for each socket.
const CONNECTIONS: usize = 64;

/// The time for the whole head of a request to arrive, and for the next request
/// to begin on a kept connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The request line and all headers together.
const HEAD_BYTES: usize = 16 << 10;

/// The time in which a client must take some of the response.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The response where too many connections are open.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 45\r\nConnection: close\r\n\r\nToo many connections are open; try again soon\n";

/// What is known of the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Over TCP, without TLS, to an address of the loopback interface.
    pub plain_loopback: bool,
}

/// Serves each connection in its own task, as long as the socket listens.
pub(in crate::daemon) async fn serve(listener: &Listener, router: Router, config: &LiveConfig) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = match &listener.socket {
            Socket::Tcp(tcp) => tcp.accept().await.map(|(stream, _)| Accepted::Tcp(stream)),
            Socket::Unix(unix) => unix
                .accept()
                .await
                .map(|(stream, _)| Accepted::Unix(stream)),
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // Such as for lack of file descriptors: other connections may
                // close theirs.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            stream.refuse();
            continue;
        };
        let router = router.clone();
        let tls = config.current().tls.clone();
        tokio::spawn(async move {
            stream.serve(router, tls).await;
            drop(place);
        });
    }
}

enum Accepted {
    Tcp(TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Accepted {
    fn refuse(self) {
        // The client may not read it; then the connection just closes.
        let said = match &self {
            Self::Tcp(stream) => stream.try_write(FULL),
            Self::Unix(stream) => stream.try_write(FULL),
        };
        tracing::debug!(?said, "too many connections");
    }

    async fn serve(self, router: Router, tls: Option<Arc<ServerConfig>>) {
        let served = match self {
            Self::Tcp(stream) => {
                // Responses are written whole: the kernel need not wait for
                // more.
                let _ = stream.set_nodelay(true);
                let plain_loopback = tls.is_none() && is_loopback(&stream);
                any(stream, router, tls, Peer { plain_loopback }).await
            }
            Self::Unix(stream) => {
                let peer = Peer {
                    plain_loopback: false,
                };
                any(stream, router, tls, peer).await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection was lost");
        }
    }
}

async fn any<S>(
    stream: S,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    peer: Peer,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(tls) = tls else {
        return http(stream, router, peer).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    let stream = timeout(HEAD_WITHIN, handshake)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    http(stream, router, peer).await
}

fn is_loopback(stream: &TcpStream) -> bool {
    let address = stream.local_addr();
    address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
}

async fn http<S>(stream: S, router: Router, peer: Peer) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKEN_WITHIN));
    let service = TowerToHyperService::new(Extension(peer).layer(router));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await
        .map_err(io::Error::other)
}
