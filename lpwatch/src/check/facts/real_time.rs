//! Real-time tasks that keep a CPU for themselves, and what limits them.

use crate::{kernel::Roots, model::CpuHolder, observe};

/// Facts for the rule `cpu_held`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealTimeFacts {
    pub holders: Vec<CpuHolder>,
    /// `kernel.sched_rt_runtime_us`; -1 for no limit.
    pub runtime_us: Option<i64>,
    /// Whether the kernel leaves some of each period to ordinary tasks.
    pub is_limited: Option<bool>,
}

impl RealTimeFacts {
    #[must_use]
    pub fn gather(roots: &Roots) -> Self {
        let setting = |name: &str| -> Option<i64> {
            let path = roots.procfs.join("sys/kernel").join(name);
            std::fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let runtime_us = setting("sched_rt_runtime_us");
        let period_us = setting("sched_rt_period_us");
        let is_limited = runtime_us
            .zip(period_us)
            .map(|(runtime, period)| runtime >= 0 && runtime < period);
        // Recorded files do not show what runs now.
        let holders = if roots.is_live() {
            observe::cpu_holders(roots)
        } else {
            Vec::new()
        };
        Self {
            holders,
            runtime_us,
            is_limited,
        }
    }
}
