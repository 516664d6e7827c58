//! The part of the document that tells of calls.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Document, Function, nullable};

#[derive(Debug, Clone, Deserialize)]
pub struct Calls {
    pub old: u64,
    pub new: u64,
    #[serde(deserialize_with = "nullable")]
    pub old_per_second: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub new_per_second: Option<f64>,
    pub rates: Vec<Rate>,
    pub counter: String,
    pub counted_since: String,
    #[serde(deserialize_with = "nullable")]
    pub before: Option<PhaseCalls>,
    #[serde(deserialize_with = "nullable")]
    pub during: Option<PhaseCalls>,
    #[serde(deserialize_with = "nullable")]
    pub after: Option<PhaseCalls>,
    #[serde(deserialize_with = "nullable")]
    pub new_share: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub entered: Option<Entered>,
    #[serde(deserialize_with = "nullable")]
    pub not_entered: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub effective: Option<bool>,
    pub above: u64,
    pub uncertain: u64,
    #[serde(deserialize_with = "nullable")]
    pub missed_together: Option<u64>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entered {
    pub function: String,
    pub entries: u64,
    pub expected: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PhaseCalls {
    pub old: u64,
    pub new: u64,
    pub seconds: f64,
    #[serde(deserialize_with = "nullable")]
    pub old_per_second: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub new_per_second: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Rate {
    pub old_per_second: f64,
    pub new_per_second: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    pub kind: String,
    pub severity: String,
    pub text: String,
    pub advice: Vec<String>,
}

/// A function that was asked for.
#[derive(Debug, Deserialize)]
pub struct Watched {
    pub object: String,
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub calls: Option<Calls>,
    #[serde(deserialize_with = "nullable")]
    pub not_counted: Option<String>,
}

impl Document {
    /// A function of a patch.
    pub fn function(&self, patch: &str, object: &str, name: &str) -> Result<&Function> {
        let object = self.patch(patch)?.object(object)?;
        let found = object.functions.iter().find(|one| one.name == name);
        found.with_context(|| format!("{patch} lists no {name}: {object:?}"))
    }

    /// A function that was asked for and is not patched.
    pub fn watched(&self, object: &str, name: &str) -> Result<&Watched> {
        let found = self
            .watched
            .iter()
            .find(|one| one.object == object && one.name == name);
        found.with_context(|| format!("{object}:{name} is not watched: {:?}", self.watched))
    }
}

impl Calls {
    /// Every call that was put down to some code.
    pub fn all(&self) -> u64 {
        self.old + self.new + self.above
    }

    pub fn finding(&self, kind: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }

    /// What holds of any numbers of calls.
    pub fn check(&self) -> Result<()> {
        self.counted_since
            .parse::<Timestamp>()
            .context("counted_since")?;
        let negative = self.rates().find(|rate| *rate < 0.0);
        ensure!(negative.is_none(), "a negative rate or time");
        ensure!(self.missed_together != Some(0), "none is null");
        let share = self.new_share.unwrap_or(0.0);
        ensure!((0.0..=1.0).contains(&share), "no share");
        let entered = self.entered.as_ref();
        ensure!(
            entered.is_none_or(|entered| !entered.function.is_empty()),
            "a function without a name"
        );
        let silent = self.findings.iter().find(|found| found.text.is_empty());
        ensure!(silent.is_none(), "a finding without words");
        Ok(())
    }

    /// All rates and times there are.
    fn rates(&self) -> impl Iterator<Item = f64> {
        let windows = self.rates.iter();
        let windows = windows.flat_map(|rate| [rate.old_per_second, rate.new_per_second]);
        let phases = [&self.before, &self.during, &self.after];
        let phases = phases.into_iter().flatten();
        let times = phases.clone().map(|phase| phase.seconds);
        let phases = phases.flat_map(|phase| [phase.old_per_second, phase.new_per_second]);
        let own = [self.old_per_second, self.new_per_second];
        windows.chain(phases.chain(own).flatten()).chain(times)
    }
}
