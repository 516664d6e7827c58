//! What the simulation knows: the numbers that rules and `lpwatch fleet` have to
//! come to. It has its own arithmetic, so that a mistake is not made twice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::{Fleet, Heal, Plan, Standing};

#[derive(Debug, Serialize)]
pub struct Truth {
    /// Simulated seconds since the beginning.
    pub seconds: f64,
    /// Nothing happens any more unless hosts are healed. Prometheus sees it one
    /// scrape later.
    pub settled: bool,
    pub healed: bool,
    pub hosts: usize,
    pub by_state: BTreeMap<&'static str, usize>,
    /// Names of the hosts in each state that needs somebody.
    pub troubled: BTreeMap<&'static str, Vec<String>>,
    /// How long patching took on hosts that report.
    pub durations: Quantiles,
    pub durations_by_kernel: BTreeMap<String, Quantiles>,
}

#[derive(Debug, Default, Serialize)]
pub struct Quantiles {
    pub hosts: usize,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

const STATES: [&str; 6] = [
    "on_new_code",
    "in_transition",
    "stalled",
    "failed",
    "not_patched",
    "not_reporting",
];

pub fn truth(fleet: &Fleet, now: f64, heal: Option<Heal>) -> Truth {
    let mut by_state: BTreeMap<_, usize> = STATES.into_iter().map(|state| (state, 0)).collect();
    let mut troubled: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut durations: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for plan in &fleet.hosts {
        let standing = plan.at(now, heal);
        let state = state(standing);
        *by_state.entry(state).or_default() += 1;
        if matches!(state, "stalled" | "failed" | "not_reporting") {
            troubled.entry(state).or_default().push(plan.name.clone());
        }
        if let Standing::Done { took, .. } = standing {
            durations.entry(plan.kernel.clone()).or_default().push(took);
        }
    }
    let settled = |plan: &Plan| now > plan.settled_at(heal);
    Truth {
        seconds: now,
        settled: fleet.hosts.iter().all(settled),
        healed: heal.is_some(),
        hosts: fleet.hosts.len(),
        by_state,
        troubled,
        durations: quantiles(durations.values().flatten().copied().collect()),
        durations_by_kernel: durations
            .into_iter()
            .map(|(kernel, seconds)| (kernel, quantiles(seconds)))
            .collect(),
    }
}

fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Silent => "not_reporting",
        Standing::NotPatched => "not_patched",
        Standing::Moving { .. } if standing.is_stalled() => "stalled",
        Standing::Moving { .. } => "in_transition",
        Standing::Done { .. } => "on_new_code",
        Standing::Failed { .. } => "failed",
    }
}

fn quantiles(mut seconds: Vec<f64>) -> Quantiles {
    seconds.sort_by(f64::total_cmp);
    let of = |percent: usize| {
        let last = seconds.len().checked_sub(1)?;
        let (whole, rest) = (percent * last / 100, percent * last % 100);
        let low = *seconds.get(whole)?;
        let high = *seconds.get((whole + 1).min(last))?;
        let rest = f64::from(u32::try_from(rest).ok()?) / 100.0;
        Some(low * (1.0 - rest) + high * rest)
    };
    Quantiles {
        hosts: seconds.len(),
        p50: of(50),
        p90: of(90),
        p99: of(99),
    }
}
