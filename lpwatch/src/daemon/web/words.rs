//! Answers to a person.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// An answer in plain words.
pub(in crate::daemon) fn words(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
