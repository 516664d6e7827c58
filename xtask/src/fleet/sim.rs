//! The simulated fleet as a program of its own, and asking it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::child::{Child, start_and_hear};
use super::http::Http;
use super::truth::Truth;

/// More than needed at any time: it ends by itself even if all else fails.
const SECONDS: u32 = 400;
const SPEAKS_WITHIN: Duration = Duration::from_secs(20);

pub const PATCH: &str = "lp_sim";
pub const HOSTS: u64 = 2000;
/// With those that are dead or failed, more than one in a hundred.
pub const STALLED: u64 = 25;
pub const DEAD: u64 = 7;
pub const FAILED: u64 = 3;

/// A running simulation; dropping it ends it.
pub struct Sim {
    _child: Child,
    http: Http,
    url: String,
}

impl Sim {
    pub fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        for (flag, value) in [
            ("--hosts", HOSTS.to_string()),
            ("--listen", "127.0.0.1:0".to_owned()),
            ("--seconds", SECONDS.to_string()),
            ("--stalled", STALLED.to_string()),
            ("--dead", DEAD.to_string()),
            ("--failed", FAILED.to_string()),
            ("--kernels", "3".to_owned()),
            ("--seed", "1".to_owned()),
            ("--speed", "10".to_owned()),
            ("--patch", PATCH.to_owned()),
        ] {
            command.args([flag, &value]);
        }
        let heard = |line: &str| line.strip_prefix("listening on ").map(str::to_owned);
        let (child, address) = start_and_hear(&command, SPEAKS_WITHIN, heard)?;
        Ok(Self {
            _child: child,
            http: Http::new(SPEAKS_WITHIN),
            url: format!("http://{address}"),
        })
    }

    /// Where its hosts are listed.
    pub fn discovery(&self) -> String {
        format!("{}/sd", self.url)
    }

    pub fn truth(&self) -> Result<Truth> {
        let text = self.http.get(&format!("{}/truth", self.url), &[])?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The metrics of its first host, as Prometheus gets them.
    pub fn metrics(&self) -> Result<String> {
        self.http.get(&format!("{}/hosts/1/metrics", self.url), &[])
    }

    /// Frees the stalled hosts.
    pub fn heal(&self) -> Result<()> {
        self.http.post(&format!("{}/heal", self.url)).map(drop)
    }
}
