//! What the simulation knows of its hosts, to hold answers against.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::prometheus::Sample;

/// Hosts by state.
pub type ByState = BTreeMap<String, u64>;

/// p50, p90 and p99 of the transition time, in seconds, by kernel.
pub type ByKernel = BTreeMap<String, [f64; 3]>;

/// What the simulation answers to `/truth`, as far as needed here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Truth {
    /// Nothing more happens by itself.
    pub settled: bool,
    pub hosts: u64,
    pub by_state: ByState,
    durations_by_kernel: BTreeMap<String, Quantiles>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Quantiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
}

impl Truth {
    /// How many hosts are in a state.
    pub fn count(&self, state: &str) -> u64 {
        self.by_state.get(state).copied().unwrap_or_default()
    }

    pub fn durations(&self) -> ByKernel {
        self.durations_by_kernel
            .iter()
            .filter_map(|(kernel, Quantiles { p50, p90, p99 })| {
                Some((kernel.clone(), [(*p50)?, (*p90)?, (*p99)?]))
            })
            .collect()
    }
}

/// The recorded hosts by state.
pub fn recorded_states(samples: &[Sample]) -> Result<ByState> {
    samples
        .iter()
        .map(|sample| {
            let count = whole(sample.value).context("a number of hosts is no whole number")?;
            Ok((sample.label("state").to_owned(), count))
        })
        .collect()
}

/// The patch's entry in what `lpwatch fleet status -o json` prints.
pub fn printed<'a>(status: &'a Value, patch: &str) -> Result<&'a Value> {
    let patches = status["patches"].as_array().context("no `patches`")?;
    patches
        .iter()
        .find(|entry| entry["patch"] == patch)
        .with_context(|| format!("`lpwatch fleet status` does not tell of {patch}"))
}

/// Its hosts by state.
pub fn printed_states(patch: &Value) -> Result<ByState> {
    ByState::deserialize(&patch["by_state"]).context("no `by_state` of whole numbers")
}

/// Its transition times.
pub fn printed_durations(patch: &Value) -> Result<ByKernel> {
    let kernels = patch["durations"]["by_kernel"].as_array();
    kernels
        .context("no `durations`")?
        .iter()
        .map(|entry| {
            let number = |name: &str| entry[name].as_f64().context("a quantile is missing");
            let kernel = entry["kernel"].as_str().context("a kernel has no name")?;
            let quantiles = [number("p50")?, number("p90")?, number("p99")?];
            Ok((kernel.to_owned(), quantiles))
        })
        .collect()
}

/// Whether two are the same but for the last digits.
pub fn agree(one: &ByKernel, other: &ByKernel) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
    one.keys().eq(other.keys())
        && one
            .values()
            .zip(other.values())
            .all(|(a, b)| a.iter().zip(b).all(near))
}

/// A float that stands for a number of things.
fn whole(value: f64) -> Option<u64> {
    let text = format!("{value}");
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_read() {
        let text = r#"{"seconds": 1.5, "settled": true, "healed": false, "hosts": 9,
            "by_state": {"stalled": 2, "on_new_code": 7},
            "durations_by_kernel": {"6.1": {"hosts": 7, "p50": 1, "p90": 2.5, "p99": 3},
                                    "6.2": {"hosts": 0, "p50": null, "p90": null, "p99": null}}}"#;
        let truth: Truth = serde_json::from_str(text).unwrap();
        assert_eq!((truth.count("stalled"), truth.count("failed")), (2, 0));
        assert_eq!(truth.durations().len(), 1);
        let mut other = truth.durations();
        assert!(agree(&truth.durations(), &other));
        other.insert("6.1".into(), [1.0, 2.5, 3.1]);
        assert!(!agree(&truth.durations(), &other));
    }

    #[test]
    fn a_number_of_hosts_is_whole() {
        assert_eq!(whole(2000.0), Some(2000));
        assert_eq!(
            (whole(0.5), whole(-1.0), whole(f64::NAN)),
            (None, None, None)
        );
    }
}
