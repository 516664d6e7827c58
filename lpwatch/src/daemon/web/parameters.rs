//! What a client sends, and a sentence for the client if that is wrong.

use std::{error::Error as _, fmt::Display, str::FromStr};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
    response::Response,
};
use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, de::DeserializeOwned, de::Error as _};

use super::words;

/// The parameters of a request.
pub(in crate::daemon) struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let query = Query::try_from_uri(&parts.uri).map_err(|wrong| {
            let why = sentence("A parameter is wrong: ", wrong.source(), &wrong.body_text());
            words(StatusCode::BAD_REQUEST, &why)
        })?;
        Ok(Self(query.0))
    }
}

/// A document that a client sends; `T` is what `lpwatch check` prints.
pub(in crate::daemon) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let sent = Json::from_request(request, state).await.map_err(|wrong| {
            let why = match wrong.status() {
                StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                    "Send what `lpwatch check -o json` prints with Content-Type: application/json."
                        .to_owned()
                }
                _ => sentence(
                    "This is not what `lpwatch check -o json` prints: ",
                    wrong.source(),
                    &wrong.body_text(),
                ),
            };
            words(wrong.status(), &why)
        })?;
        Ok(Self(sent.0))
    }
}

fn sentence(beginning: &str, cause: Option<&dyn std::error::Error>, otherwise: &str) -> String {
    let cause = cause.map_or_else(|| otherwise.to_owned(), ToString::to_string);
    format!("{beginning}{}.", cause.trim_end_matches('.'))
}

/// A time in a query.
pub(in crate::daemon) fn time<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Timestamp>, D::Error> {
    parsed(
        from,
        "is not a time by RFC 3339, such as 2026-03-01T03:10:00Z",
    )
}

/// A number in a query.
pub(in crate::daemon) fn number<'de, D: Deserializer<'de>, N: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<N>, D::Error> {
    parsed(from, "is not a whole number from 0 on")
}

fn parsed<'de, D: Deserializer<'de>, V: FromStr>(
    from: D,
    wrong: &str,
) -> Result<Option<V>, D::Error> {
    let text = String::deserialize(from)?;
    let value = text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        D::Error::custom(format_args!("`{}` {wrong}", shown.escape_debug()))
    })?;
    Ok(Some(value))
}
