//! Asking over HTTP, on loopback only.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::Agent;

/// More than any answer here has.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A client with a limit on the time of each request.
pub struct Http(Agent);

impl Http {
    pub fn new(limit: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(limit))
            // What is on loopback is not behind a proxy.
            .proxy(None)
            .http_status_as_error(false)
            .build();
        Self(config.into())
    }

    /// The body of a good answer.
    pub fn get(&self, url: &str, query: &[(&str, &str)]) -> Result<String> {
        let mut request = self.0.get(url);
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        let answer = request.call();
        body(answer.with_context(|| format!("cannot get {url}"))?)
            .with_context(|| format!("{url} gave no good answer"))
    }

    /// Posts nothing, and returns the body of a good answer.
    pub fn post(&self, url: &str) -> Result<String> {
        let answer = self.0.post(url).send_empty();
        body(answer.with_context(|| format!("cannot post to {url}"))?)
            .with_context(|| format!("{url} gave no good answer"))
    }
}

fn body(mut answer: ureq::http::Response<ureq::Body>) -> Result<String> {
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(MOST_BYTES)
        .read_to_string()?;
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    Ok(text)
}
