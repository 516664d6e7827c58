//! What holds for every request: who may ask, and the headers of every
//! response.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HOST,
            REFERRER_POLICY, TRANSFER_ENCODING, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
        uri::Authority,
    },
    middleware::Next,
    response::Response,
};

use super::{
    config::{Authenticator, LiveConfig},
    connection::Peer,
    words::words,
};

/// The page may load, run and request only this daemon's own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The conditions for a request.
#[derive(Default)]
pub(in crate::daemon) struct Guard {
    /// The host's node name.
    pub node: String,
    /// Who may ask; `None`: everyone who can open the socket.
    pub access: Option<(Arc<LiveConfig>, Authenticator)>,
}

pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut refusal = guard.refusal(&request);
    let mut extra = None;
    if let Some((config, doorkeeper)) = &guard.access {
        let loaded = config.current();
        if refusal.is_none() && !doorkeeper.admits(&loaded.users, request.headers()).await {
            refusal = Some(unknown_user());
        }
        extra = Some(loaded);
    }
    let mut answer = match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    add_headers(answer.headers_mut());
    if let Some(loaded) = extra {
        answer.headers_mut().extend(loaded.headers.clone());
    }
    answer
}

impl Guard {
    fn refusal(&self, request: &Request) -> Option<Response> {
        if has_unwanted_body(request) {
            let mut refusal = words(
                StatusCode::BAD_REQUEST,
                "A GET or HEAD request must not have a body.",
            );
            // The rest of the body is never read.
            let close = HeaderValue::from_static("close");
            refusal.headers_mut().insert(CONNECTION, close);
            return Some(refusal);
        }
        let peer = request.extensions().get::<Peer>();
        if peer.is_some_and(|peer| peer.plain_loopback) && !self.is_ours(request) {
            return Some(words(
                StatusCode::MISDIRECTED_REQUEST,
                "The Host header does not name this host. On the loopback interface lpwatch accepts \
                 only addresses, localhost and the host's own name, so that no web site can read it \
                 through your browser.",
            ));
        }
        None
    }

    /// Whether the client used one of this host's own names. A web site can let
    /// its own name resolve to 127.0.0.1 (DNS rebinding), and a browser would
    /// let its scripts read the response.
    fn is_ours(&self, request: &Request) -> bool {
        let named = request.headers().get(HOST).map(HeaderValue::as_bytes);
        // HTTP/1.0 requires no Host header; browsers always send it.
        let Some(named) = named else { return true };
        let Ok(authority) = Authority::try_from(named) else {
            return false;
        };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name.eq_ignore_ascii_case(&self.node)
            || address.parse::<std::net::IpAddr>().is_ok()
    }
}

fn unknown_user() -> Response {
    let mut refusal = words(
        StatusCode::UNAUTHORIZED,
        "A user name and a password are required.",
    );
    let how = HeaderValue::from_static("Basic realm=\"lpwatch\"");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, how);
    refusal
}

fn has_unwanted_body(request: &Request) -> bool {
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let has_body = headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|it| it != b"0");
    has_body && request.method() != Method::POST
}

/// Adds the headers of every response, except those that it already has.
fn add_headers(headers: &mut HeaderMap) {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(value));
    }
}
