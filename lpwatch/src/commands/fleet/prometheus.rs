//! The flags that tell which Prometheus is asked, how, and about which hosts.

use std::{path::PathBuf, time::Duration};

use crate::{
    commands::args::duration,
    fleet::{
        prometheus::{BaseUrl, Login, PrometheusError, PrometheusOptions, Tls},
        queries::{FleetQuery, Scope},
        selector::{PatchPattern, Selector},
        source::FleetSource,
    },
};

/// Which Prometheus is asked, and about which hosts.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Prometheus")]
pub struct PrometheusArgs {
    /// The URL of Prometheus, or of what has its HTTP API (Thanos, Mimir,
    /// VictoriaMetrics), with its prefix if it has one.
    // Read as text: a URL with a password in it must not be shown by clap.
    #[arg(
        long = "prometheus",
        env = "LPWATCH_PROMETHEUS",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: String,

    /// Log in by HTTP basic authentication as this user.
    #[arg(
        long = "prometheus.user",
        value_name = "NAME",
        requires = "password_file",
        conflicts_with = "bearer_token_file"
    )]
    user: Option<String>,

    /// The file with that user's password.
    #[arg(
        long = "prometheus.password-file",
        value_name = "FILE",
        requires = "user"
    )]
    password_file: Option<PathBuf>,

    /// Log in by the bearer token in this file.
    #[arg(long = "prometheus.bearer-token-file", value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,

    /// Trust only the certificates in this file (PEM). Default: those this
    /// system trusts; `SSL_CERT_FILE` is honoured.
    #[arg(long = "prometheus.ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Show this certificate (PEM, with its chain).
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

    /// Wait this long for one answer.
    #[arg(
        id = "answer_timeout",
        long = "prometheus.timeout",
        value_name = "TIME",
        default_value = "30s",
        value_parser = positive
    )]
    timeout: Duration,

    /// Take no answer larger than this; 100,000 hosts need less than 20.
    #[arg(
        long = "prometheus.max-answer",
        value_name = "MIB",
        default_value_t = 128,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    max_answer: u16,

    /// Only hosts that these labels choose, in PromQL: `{dc="x",role!~"db.*"}`.
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

    /// The label that tells hosts apart.
    #[arg(
        long,
        value_name = "LABEL",
        default_value = "instance",
        value_parser = label
    )]
    host_label: String,

    /// A host counts as known for this long after Prometheus last scraped it.
    /// Less where hosts come and go by design.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = positive)]
    known_for: Duration,
}

impl PrometheusArgs {
    /// What these flags ask for.
    ///
    /// # Errors
    /// A flag or a file that it names cannot be used.
    pub fn source(
        &self,
        patch: Option<&PatchPattern>,
        facts: &'static [FleetQuery],
    ) -> Result<FleetSource, crate::Error> {
        FleetSource::new(self.options()?, self.scope(patch), facts)
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

/// How often Prometheus is asked.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct IntervalArgs {
    /// Ask Prometheus this often.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive)]
    pub interval: Duration,
}

fn positive(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_millis(100) {
        return Err("too short".to_owned());
    }
    Ok(time)
}

fn label(text: &str) -> Result<String, String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_label = !text.is_empty()
        && text.chars().all(is_of_name)
        && !text.starts_with(|c: char| c.is_ascii_digit());
    if is_label {
        Ok(text.to_owned())
    } else {
        Err("not the name of a label".to_owned())
    }
}
