//! Why Prometheus gave no answer.

use std::{io, path::PathBuf};

/// Why Prometheus gave no answer. None of these holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the URL of Prometheus (--prometheus, LPWATCH_PROMETHEUS) is wrong: {0}")]
    Url(String),
    #[error("cannot reach Prometheus at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error(
        "Prometheus at {url} gave no answer within {seconds} s (--prometheus.timeout allows more)"
    )]
    TooSlow { url: String, seconds: f64 },
    #[error("Prometheus at {url} refused us (HTTP {status}): {}", login_hint(*.had_login, *.status))]
    Refused {
        url: String,
        status: u16,
        had_login: bool,
    },
    #[error(
        "{url} sends us elsewhere{}; lpwatch does not follow, as credentials would go along: \
         give the URL of Prometheus itself with --prometheus",
        led_to(.to.as_deref())
    )]
    Redirected { url: String, to: Option<String> },
    #[error("{0}")]
    Status(Box<Refusal>),
    #[error(
        "the answer of Prometheus at {url} is larger than {mib} MiB (--prometheus.max-answer allows more, --selector asks for fewer hosts)"
    )]
    TooLarge { url: String, mib: usize },
    #[error("{url} does not answer like Prometheus: {reason}")]
    WrongAnswer { url: String, reason: String },
    #[error("cannot read {what} {}: {source}", .path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot use {what} {}: {reason}", .path.display())]
    Certificate {
        what: &'static str,
        path: PathBuf,
        reason: String,
    },
    #[error(
        "this system's certificates cannot be read ({0}); name those to trust with --prometheus.ca-file"
    )]
    NoRoots(String),
    #[error("{what} {} holds {reason}", .path.display())]
    Secret {
        what: &'static str,
        path: PathBuf,
        reason: &'static str,
    },
}

/// An answer with another status than 200.
#[derive(Debug)]
pub struct Refusal {
    pub url: String,
    pub status: u16,
    pub query: String,
    /// Prometheus's own words, where it is one.
    pub reason: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            url,
            status,
            query,
            reason,
        } = self;
        match (status, reason) {
            (_, Some(reason)) => write!(f, "Prometheus at {url} says (HTTP {status}): {reason}")?,
            (404, None) => write!(
                f,
                "{url} has no api/v1/query (HTTP 404): is this the URL of Prometheus, with its prefix?"
            )?,
            (_, None) => write!(f, "Prometheus at {url} answered with HTTP {status}")?,
        }
        if matches!(status, 400 | 422) {
            write!(f, "; it was asked for {query}")?;
        }
        Ok(())
    }
}

impl Error {
    /// Whether it may pass by itself, as when Prometheus or a proxy before it is
    /// started anew.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TooSlow { .. } | Self::WrongAnswer { .. } => true,
            Self::Status(refusal) => matches!(refusal.status, 408 | 429 | 500..),
            Self::Url(_)
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::File { .. }
            | Self::Certificate { .. }
            | Self::NoRoots(_)
            | Self::Secret { .. } => false,
        }
    }
}

fn login_hint(had_login: bool, status: u16) -> &'static str {
    match (had_login, status) {
        (false, _) => {
            "give --prometheus.user and --prometheus.password-file, or \
             --prometheus.bearer-token-file"
        }
        (true, 403) => "what it was given does not permit queries",
        (true, _) => "it does not know the user, password or token it was given",
    }
}

fn led_to(place: Option<&str>) -> String {
    place
        .map(|place| format!(" (to {place})"))
        .unwrap_or_default()
}
