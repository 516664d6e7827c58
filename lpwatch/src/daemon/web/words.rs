//! Responses in plain text, for a person.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// A response in plain text.
pub(in crate::daemon) fn words(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
