//! How long patching took, over many hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hosts::FleetHost;

/// How long patching took where it completed. Each host contributes one number, that
/// of its last transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Durations {
    /// Over all hosts; `null` where it completed nowhere, and in `lpwatch fleet wait`.
    pub all: Option<Quantiles>,
    /// For each kernel, most hosts first.
    pub by_kernel: Vec<KernelQuantiles>,
}

/// Quantiles over hosts, in seconds, interpolated as Prometheus's `quantile` does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Quantiles {
    /// The number of hosts.
    #[serde(rename = "host_count")]
    pub hosts: usize,
    /// The median, in seconds.
    pub p50: f64,
    /// The 90th percentile, in seconds.
    pub p90: f64,
    /// The 99th percentile, in seconds.
    pub p99: f64,
}

/// Quantiles over the hosts of one kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelQuantiles {
    /// The release of the kernel (`uname -r`); `null` for hosts that do not report it.
    pub kernel: Option<String>,
    #[serde(flatten)]
    pub quantiles: Quantiles,
}

impl Durations {
    /// The durations that `hosts` report.
    #[must_use]
    pub fn of(hosts: &[FleetHost]) -> Self {
        let mut all = Vec::new();
        let mut by_kernel: BTreeMap<Option<&str>, Vec<f64>> = BTreeMap::new();
        for host in hosts {
            if let Some(seconds) = host.duration_seconds {
                all.push(seconds);
                let of_kernel = by_kernel.entry(host.kernel.as_deref()).or_default();
                of_kernel.push(seconds);
            }
        }
        let mut by_kernel: Vec<KernelQuantiles> = by_kernel
            .into_iter()
            .filter_map(|(kernel, seconds)| {
                Some(KernelQuantiles {
                    kernel: kernel.map(str::to_owned),
                    quantiles: quantiles(seconds)?,
                })
            })
            .collect();
        by_kernel.sort_by_key(|of| std::cmp::Reverse(of.quantiles.hosts));
        Self {
            all: quantiles(all),
            by_kernel,
        }
    }
}

/// `None` without numbers.
fn quantiles(mut seconds: Vec<f64>) -> Option<Quantiles> {
    seconds.sort_by(f64::total_cmp);
    Some(Quantiles {
        hosts: seconds.len(),
        p50: quantile(&seconds, 0.5)?,
        p90: quantile(&seconds, 0.9)?,
        p99: quantile(&seconds, 0.99)?,
    })
}

/// Interpolates between the two numbers around the position.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^52 hosts")]
    let place = share * sorted.len().checked_sub(1)? as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a position in the list"
    )]
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_prometheus() {
        assert_eq!(quantiles(Vec::new()), None);
        let found = quantiles((1..=11).rev().map(f64::from).collect()).unwrap();
        assert!((found.p50 - 6.0).abs() < 1e-9);
        assert!((found.p90 - 10.0).abs() < 1e-9);
        assert!((found.p99 - 10.9).abs() < 1e-9);
        let one = quantiles(vec![2.5]).unwrap();
        assert!((one.p99 - 2.5).abs() < 1e-9);
    }
}
