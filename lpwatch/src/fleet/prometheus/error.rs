//! Why a query of Prometheus failed.

use std::{io, path::PathBuf};

/// Why a query of Prometheus failed. No error contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    #[error("the URL of Prometheus (--prometheus, LPWATCH_PROMETHEUS) is wrong: {0}")]
    Url(String),
    #[error("cannot reach Prometheus at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error(
        "Prometheus at {url} did not respond within {seconds} s (--prometheus.timeout allows more)"
    )]
    TooSlow { url: String, seconds: f64 },
    #[error("Prometheus at {url} denied access (HTTP {status}): {}", login_hint(*.had_login, *.status))]
    Refused {
        url: String,
        status: u16,
        had_login: bool,
    },
    #[error(
        "{url} redirects{}. lpwatch does not follow redirects, because the credentials would go \
         along: give the URL of Prometheus itself with --prometheus",
        redirect_target(.to.as_deref())
    )]
    Redirected { url: String, to: Option<String> },
    #[error("{0}")]
    Status(Box<HttpRefusal>),
    #[error(
        "the response of Prometheus at {url} is larger than {mib} MiB (--prometheus.max-answer allows more, --selector asks for fewer hosts)"
    )]
    TooLarge { url: String, mib: usize },
    #[error("{url} does not respond like Prometheus: {reason}")]
    WrongAnswer { url: String, reason: String },
    #[error(
        "Prometheus at {url} has no host that matches {{{hosts}}}: check the scrape job (--job) \
         and --selector"
    )]
    NoHosts { url: String, hosts: String },
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
        "this system's certificates cannot be read ({0}); give those to trust with --prometheus.ca-file"
    )]
    NoRoots(String),
    #[error("{what} {} contains {reason}", .path.display())]
    Secret {
        what: &'static str,
        path: PathBuf,
        reason: &'static str,
    },
}

/// A response with another status than 200.
#[derive(Debug)]
pub struct HttpRefusal {
    pub url: String,
    pub status: u16,
    pub query: String,
    /// Prometheus's own words, if the server is one.
    pub reason: Option<String>,
}

impl std::fmt::Display for HttpRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            url,
            status,
            query,
            reason,
        } = self;
        match (status, reason) {
            (_, Some(reason)) => {
                write!(f, "Prometheus at {url} reports (HTTP {status}): {reason}")?;
            }
            (404, None) => write!(
                f,
                "{url} has no api/v1/query (HTTP 404): is this the URL of Prometheus, with its prefix?"
            )?,
            (_, None) => write!(f, "Prometheus at {url} responded with HTTP {status}")?,
        }
        if matches!(status, 400 | 422) {
            write!(f, "; the query was {query}")?;
        }
        Ok(())
    }
}

impl PrometheusError {
    /// Whether the error may pass by itself, such as while Prometheus or a
    /// proxy before it restarts.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            // It knows no host after a restart without its data, until the first scrape.
            Self::Unreachable { .. }
            | Self::TooSlow { .. }
            | Self::WrongAnswer { .. }
            | Self::NoHosts { .. } => true,
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
        (true, 403) => "the credentials do not permit queries",
        (true, _) => "it does not accept the user, password or token",
    }
}

fn redirect_target(place: Option<&str>) -> String {
    place
        .map(|place| format!(" (to {place})"))
        .unwrap_or_default()
}
