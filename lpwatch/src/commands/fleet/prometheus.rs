//! The flags for the Prometheus to query, the login, and the hosts.

use std::{path::PathBuf, time::Duration};

use crate::{
    commands::args::interval,
    fleet::{
        prometheus::{BaseUrl, Login, PrometheusError, PrometheusOptions, Tls},
        queries::{FleetQuery, Scope},
        selector::{PatchPattern, Selector},
        source::FleetSource,
    },
};

/// The Prometheus to query, the login, and the hosts.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Prometheus")]
pub struct PrometheusArgs {
    /// The URL of Prometheus, or of a server with its HTTP API (Thanos, Mimir,
    /// VictoriaMetrics), including a path prefix if it has one.
    // A string: in an error message clap would show a URL with its password.
    #[arg(
        long = "prometheus",
        env = "LPWATCH_PROMETHEUS",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: String,

    /// Log in with HTTP basic authentication as this user.
    #[arg(
        long = "prometheus.user",
        value_name = "NAME",
        requires = "password_file",
        conflicts_with = "bearer_token_file"
    )]
    user: Option<String>,

    /// The file with the password of that user.
    #[arg(
        long = "prometheus.password-file",
        value_name = "FILE",
        requires = "user"
    )]
    password_file: Option<PathBuf>,

    /// Log in with the bearer token in this file.
    #[arg(long = "prometheus.bearer-token-file", value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,

    /// Trust only the certificates in this file (PEM). Default: the certificates that
    /// this system trusts, or those in `SSL_CERT_FILE`.
    #[arg(long = "prometheus.ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Present this client certificate (PEM, with its chain).
    #[arg(
        long = "prometheus.cert-file",
        value_name = "FILE",
        requires = "key_file"
    )]
    cert_file: Option<PathBuf>,

    /// The key of that certificate (PEM).
    #[arg(
        long = "prometheus.key-file",
        value_name = "FILE",
        requires = "cert_file"
    )]
    key_file: Option<PathBuf>,

    /// Wait at most this long for one response.
    #[arg(
        id = "answer_timeout",
        long = "prometheus.timeout",
        value_name = "TIME",
        default_value = "30s",
        value_parser = interval
    )]
    timeout: Duration,

    /// Reject a response larger than this; 100,000 hosts need less than 20 MiB.
    #[arg(
        long = "prometheus.max-answer",
        value_name = "MIB",
        default_value_t = 128,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    max_answer: u16,

    /// Select hosts by these labels, in PromQL: `{dc="x",role!~"db.*"}`.
    #[arg(
        long,
        value_name = "SELECTOR",
        default_value = "",
        hide_default_value = true
    )]
    selector: Selector,

    /// The scrape job of lpwatch, unless --selector names a job.
    #[arg(long, value_name = "NAME", default_value = "lpwatch")]
    job: String,

    /// The label that identifies a host.
    #[arg(
        long,
        value_name = "LABEL",
        default_value = "instance",
        value_parser = label
    )]
    host_label: String,

    /// A host counts as known for this long after Prometheus last scraped it. Choose
    /// a shorter time if hosts come and go by design.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = interval)]
    known_for: Duration,
}

impl PrometheusArgs {
    /// The source for these flags.
    ///
    /// # Errors
    /// A flag, or a file named in one, is invalid.
    pub fn source(
        &self,
        patch: Option<&PatchPattern>,
        facts: &'static [FleetQuery],
    ) -> Result<FleetSource, crate::Error> {
        Ok(FleetSource::new(self.options()?, self.scope(patch), facts)?)
    }

    fn options(&self) -> Result<PrometheusOptions, PrometheusError> {
        let login = match (&self.user, &self.password_file, &self.bearer_token_file) {
            (Some(name), Some(password), _) => Login::User {
                name: name.clone(),
                password: password.clone(),
            },
            (_, _, Some(token)) => Login::Token(token.clone()),
            _ => Login::Nobody,
        };
        let url: BaseUrl = self.url.parse().map_err(PrometheusError::Url)?;
        Ok(PrometheusOptions {
            url,
            login,
            tls: Tls {
                ca: self.ca_file.clone(),
                own: self.cert_file.clone().zip(self.key_file.clone()),
            },
            timeout: self.timeout,
            largest: usize::from(self.max_answer) << 20,
        })
    }

    fn scope(&self, patch: Option<&PatchPattern>) -> Scope {
        Scope {
            selector: self.selector.clone().of_job(&self.job),
            patch: patch.cloned(),
            host_label: self.host_label.clone(),
            known_for: self.known_for,
        }
    }
}

/// The interval of the queries.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct IntervalArgs {
    /// Query Prometheus at this interval.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = interval)]
    pub interval: Duration,
}

fn label(text: &str) -> Result<String, String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_label = !text.is_empty()
        && text.chars().all(is_of_name)
        && !text.starts_with(|c: char| c.is_ascii_digit());
    if is_label {
        Ok(text.to_owned())
    } else {
        Err("not a valid label name".to_owned())
    }
}
