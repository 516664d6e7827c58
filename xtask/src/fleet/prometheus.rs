//! A real Prometheus on loopback, with a data folder and a port of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use tempfile::TempDir;

use super::child::Child;
use super::http::Http;
use super::until::until;
use crate::paths;
use crate::setup::prometheus::Prometheus as Tools;

const READY_WITHIN: Duration = Duration::from_mins(1);
const REQUEST: Duration = Duration::from_mins(1);

/// A running Prometheus; dropping it ends it, and its data go.
pub struct Prometheus {
    child: Child,
    http: Http,
    pub url: String,
    log: PathBuf,
    _folder: TempDir,
}

/// One series of an answer, with its value now.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: serde_json::Map<String, Value>,
    pub value: f64,
}

impl Sample {
    /// A label's value; empty where there is none, as Prometheus has it.
    pub fn label(&self, name: &str) -> &str {
        self.labels
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

impl Prometheus {
    /// Starts one with this configuration and these files beside it.
    pub fn start(
        tools: &Tools,
        name: &str,
        config: &str,
        files: &[(&str, String)],
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("xtask-prometheus-")
            .tempdir()?;
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config)?;
        for (name, contents) in files {
            fs::write(folder.path().join(name), contents)?;
        }
        let log = paths::target("logs").join(format!("prometheus-{name}.log"));
        let mut command = Command::new(&tools.server);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--query.timeout=50s");
        let mut child = Child::start_logged(&command, &log)?;
        let http = Http::new(REQUEST);
        let url = until("Prometheus", READY_WITHIN, || {
            child.ensure_runs(&log)?;
            let said = fs::read_to_string(&log).unwrap_or_default();
            let url = address(&said)
                .ok_or("it does not listen yet")
                .map(|address| format!("http://{address}"));
            Ok(url.map_err(str::to_owned).and_then(|url| {
                match http.get(&format!("{url}/-/ready"), &[]) {
                    Ok(_) => Ok(url),
                    Err(error) => Err(format!("{error:#}")),
                }
            }))
        })?;
        Ok(Self {
            child,
            http,
            url,
            log,
            _folder: folder,
        })
    }

    /// The answer to a query, as an instant vector.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>> {
        let data = self.data("query", &[("query", query)])?;
        let result = data["result"]
            .as_array()
            .with_context(|| format!("`{query}` gives no vector"))?;
        result
            .iter()
            .map(sample)
            .collect::<Option<_>>()
            .with_context(|| format!("`{query}` gives something else than an instant vector"))
    }

    /// The answer to a query that gives one number, where it gives any.
    pub fn number(&self, query: &str) -> Result<Option<f64>> {
        Ok(self.query(query)?.first().map(|sample| sample.value))
    }

    /// How long all rules took the last time.
    pub fn rules_seconds(&self) -> Result<f64> {
        let rules = self.data("rules", &[])?;
        let groups = rules["groups"].as_array().context("no groups of rules")?;
        Ok(groups
            .iter()
            .filter_map(|group| group["evaluationTime"].as_f64())
            .sum())
    }

    /// The `data` of an API's answer.
    pub fn data(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let text = self
            .http
            .get(&format!("{}/api/v1/{path}", self.url), query)
            .with_context(|| format!("Prometheus's log: {}", self.log.display()))?;
        let mut answer: Value = serde_json::from_str(&text)?;
        if answer["status"] != "success" {
            return Err(anyhow!("Prometheus says: {text}"));
        }
        Ok(answer["data"].take())
    }

    /// Its memory, in MiB.
    pub fn rss_mib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    }
}

/// The rules of `deploy/`, by file name.
pub fn rules() -> Result<Vec<(&'static str, String)>> {
    ["lpwatch-recording.rules.yml", "lpwatch-alerts.rules.yml"]
        .into_iter()
        .map(|name| Ok((name, read(&super::deployed("prometheus").join(name))?)))
        .collect()
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Where it listens, from its log: `… msg="Listening on" address=127.0.0.1:9`
fn address(log: &str) -> Option<&str> {
    let line = log
        .lines()
        .find(|line| line.contains("msg=\"Listening on\""))?;
    line.split_whitespace()
        .find_map(|word| word.strip_prefix("address="))
}

fn sample(series: &Value) -> Option<Sample> {
    Some(Sample {
        labels: series["metric"].as_object()?.clone(),
        value: series["value"][1].as_str()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_log() {
        let log = "level=info msg=\"Start listening for connections\" address=127.0.0.1:0\n\
                   ts=1 level=info msg=\"Listening on\" address=127.0.0.1:36557\n";
        assert_eq!(address(log), Some("127.0.0.1:36557"));
    }

    #[test]
    fn a_sample_is_read() {
        let series = serde_json::json!({"metric": {"state": "stalled"}, "value": [1.5, "5"]});
        let sample = sample(&series).unwrap();
        assert_eq!((sample.label("state"), sample.label("no")), ("stalled", ""));
        assert!((sample.value - 5.0).abs() < f64::EPSILON);
    }
}
