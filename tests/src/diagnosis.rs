//! The document that `lpwatch doctor -o json` promises, read strictly: a field
//! that is missing is an error, even one that may be null.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::contract::nullable;
use crate::lpwatch::{self, Ended};

#[derive(Debug, Deserialize)]
pub struct Diagnosis {
    pub schema_version: u64,
    pub host: String,
    pub kernel: String,
    pub arch: String,
    pub verdict: String,
    pub summary: String,
    pub chosen_by: String,
    #[serde(deserialize_with = "nullable")]
    pub attach_seconds: Option<f64>,
    pub offers: Vec<Offer>,
    pub facts: Vec<Fact>,
    pub notes: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub calibration: Option<Calibration>,
}

#[derive(Debug, Deserialize)]
pub struct Offer {
    pub id: String,
    pub name: String,
    pub state: String,
    #[serde(deserialize_with = "nullable")]
    pub value: Option<String>,
    pub why: String,
    #[serde(deserialize_with = "nullable")]
    pub lost: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub remedy: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Fact {
    #[serde(rename = "fact")]
    pub name: String,
    pub what: String,
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub target: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub works: Option<bool>,
    pub fallen_back: bool,
    pub why: String,
    #[serde(deserialize_with = "nullable")]
    pub fallback: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Calibration {
    #[serde(deserialize_with = "nullable")]
    pub function: Option<String>,
    pub call: String,
    pub trials: Vec<CounterTrial>,
    #[serde(deserialize_with = "nullable")]
    pub left_behind: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub not_tried: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct CounterTrial {
    pub kind: String,
    pub outcome: String,
    pub calls: u64,
    #[serde(deserialize_with = "nullable")]
    pub counted: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub plain_ns: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub counted_ns: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub why: Option<String>,
}

/// `lpwatch doctor -o json`, which must end with this exit code.
pub fn doctor(arguments: &[&[&str]], expected: i32) -> Result<Diagnosis> {
    let ended = lpwatch::run(&[&["doctor", "-o", "json"], &arguments.concat()])?;
    Diagnosis::of(ended.expect(&[expected])?)
}

impl Diagnosis {
    pub fn of(ended: &Ended) -> Result<Self> {
        let diagnosis: Self = serde_json::from_slice(&ended.stdout)
            .with_context(|| format!("doctor broke its contract: {}", ended.all_text()))?;
        diagnosis.check()?;
        Ok(diagnosis)
    }

    /// What holds on every host, whatever it offers.
    fn check(&self) -> Result<()> {
        ensure!(self.schema_version == 2, "version {}", self.schema_version);
        ensure!(self.arch == std::env::consts::ARCH, "{}", self.arch);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        ensure!(
            self.kernel == release.trim(),
            "not {release}: {}",
            self.kernel
        );
        ensure!(
            !self.host.is_empty() && !self.summary.is_empty(),
            "{self:?}"
        );
        for offer in &self.offers {
            let told = !offer.name.is_empty() && !offer.why.is_empty() && offer.value.is_some();
            ensure!(told, "nothing is said of it: {offer:?}");
        }
        for fact in &self.facts {
            let hung = fact.kind == "none" || fact.target.is_some();
            ensure!(hung, "it hangs on nothing: {fact:?}");
        }
        if let Some(Calibration { function, call, .. }) = &self.calibration {
            let apt = function.as_ref().is_none_or(|name| name.ends_with(call));
            ensure!(apt, "{call} does not enter {function:?}");
        }
        Ok(())
    }

    pub fn offer(&self, id: &str) -> Result<&Offer> {
        let found = self.offers.iter().find(|offer| offer.id == id);
        found.with_context(|| format!("no offer {id}: {self:?}"))
    }

    pub fn fact(&self, name: &str) -> Result<&Fact> {
        let found = self.facts.iter().find(|fact| fact.name == name);
        found.with_context(|| format!("no fact {name}: {self:?}"))
    }

    /// Checks an offer's state, and that one that is missing is explained.
    pub fn offers(&self, id: &str, state: &str) -> Result<()> {
        let offer = self.offer(id)?;
        ensure!(offer.state == state, "not {state}: {offer:?}");
        let explained = offer.lost.is_some() && offer.remedy.is_some();
        ensure!(state != "missing" || explained, "unexplained: {offer:?}");
        Ok(())
    }

    /// Checks by what a fact is known.
    pub fn knows(&self, name: &str, kinds: &[&str]) -> Result<&Fact> {
        let fact = self.fact(name)?;
        ensure!(
            kinds.contains(&fact.kind.as_str()),
            "not {kinds:?}: {fact:?}"
        );
        Ok(fact)
    }
}
