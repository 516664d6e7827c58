//! Accepting connections and serving each within limits, so that a slow or
//! hostile client costs a socket and a few kilobytes for some seconds, and its
//! idle connections make room for others.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header::CONNECTION},
    response::Response,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{
    config::LiveConfig,
    listen::{Listener, Socket},
    places::{Place, Places, ServedBody},
    words::words,
};

/// Connections served at a time, for each socket.
const CONNECTIONS: usize = 64;

/// Further connections, which serve only the daemon's health ([`HEALTH`]).
const HEALTH_CONNECTIONS: usize = 8;

/// The paths that always have a place.
const HEALTH: [&str; 2] = ["/-/healthy", "/-/ready"];

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
    let places = Places::new(CONNECTIONS);
    let health_places = Places::new(HEALTH_CONNECTIONS);
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
        let for_all = places.take().map(|place| (place, ServedPaths::Everything));
        let taken = for_all.or_else(|| Some((health_places.take()?, ServedPaths::Health)));
        let Some((place, offer)) = taken else {
            stream.refuse();
            continue;
        };
        let desk = Desk {
            router: router.clone(),
            place: place.clone(),
            offer,
        };
        let tls = config.current().tls.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stream.serve(desk, tls) => (),
                () = place.given_away() => (),
            }
        });
    }
}

/// What is served on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServedPaths {
    Everything,
    /// All other places serve requests.
    Health,
}

/// What answers the requests of one connection.
struct Desk {
    router: Router,
    place: Place,
    offer: ServedPaths,
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

    async fn serve(self, desk: Desk, tls: Option<Arc<ServerConfig>>) {
        let served = match self {
            Self::Tcp(stream) => {
                // Responses are written whole: the kernel need not wait for
                // more.
                let _ = stream.set_nodelay(true);
                let plain_loopback = tls.is_none() && is_loopback(&stream);
                any(stream, desk, tls, Peer { plain_loopback }).await
            }
            Self::Unix(stream) => {
                let peer = Peer {
                    plain_loopback: false,
                };
                any(stream, desk, tls, peer).await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection was lost");
        }
    }
}

async fn any<S>(stream: S, desk: Desk, tls: Option<Arc<ServerConfig>>, peer: Peer) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(tls) = tls else {
        return http(stream, desk, peer).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    let stream = timeout(HEAD_WITHIN, handshake)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    http(stream, desk, peer).await
}

fn is_loopback(stream: &TcpStream) -> bool {
    let address = stream.local_addr();
    address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
}

async fn http<S>(stream: S, desk: Desk, peer: Peer) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKEN_WITHIN));
    let Desk {
        router,
        place,
        offer,
    } = desk;
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
        let serving = place.serves();
        let is_offered = offer == ServedPaths::Everything || HEALTH.contains(&request.uri().path());
        request.extensions_mut().insert(peer);
        let answer = is_offered.then(|| routes.call(request.map(Body::new)));
        async move {
            let answer = match answer {
                Some(answer) => answer.await?,
                None => full(),
            };
            Ok::<_, Infallible>(answer.map(|body| ServedBody {
                body,
                _serving: serving,
            }))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await
        .map_err(io::Error::other)
}

/// The response on a place that is only for the daemon's health.
fn full() -> Response {
    let mut answer = words(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many connections are open; try again soon",
    );
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{UnixListener, UnixStream},
    };

    use super::*;

    /// The beginning of the answer to a request.
    async fn ask(stream: &mut UnixStream, path: &str) -> String {
        let said = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn health_has_a_place_while_all_others_are_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.sock");
        let listener = Listener::unix(UnixListener::bind(&path).unwrap(), String::new());
        let endless = || async { Body::from_stream(futures_util::stream::pending::<Endless>()) };
        let router = Router::new()
            .route("/endless", get(endless))
            .route("/-/healthy", get(|| async { "well" }));
        tokio::spawn(async move { serve(&listener, router, &LiveConfig::default()).await });
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            assert_eq!(ask(&mut stream, "/endless").await, "HTTP/1.1 200 OK");
            held.push(stream);
        }
        for _ in 0..3 * HEALTH_CONNECTIONS {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            assert_eq!(ask(&mut stream, "/-/healthy").await, "HTTP/1.1 200 OK");
            held.push(stream);
        }
        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(ask(&mut stream, "/endless").await, "HTTP/1.1 503 Se");
        // One place is free again, for everything.
        drop(held.remove(0));
        let again = async {
            loop {
                let mut stream = UnixStream::connect(&path).await.unwrap();
                if ask(&mut stream, "/endless").await == "HTTP/1.1 200 OK" {
                    break;
                }
            }
        };
        timeout(Duration::from_mins(1), again).await.unwrap();
    }

    type Endless = Result<&'static str, Infallible>;
}
