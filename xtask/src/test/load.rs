//! How busy this machine is, from /proc.

use std::fs;
use std::time::{Duration, Instant};

/// What the machine has left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// The share of all processors' time that was in use, from 0 to 1.
    pub busy: f64,
    /// Memory that can be had without swapping, in MiB.
    pub available_mib: u64,
    /// What was started last has had the time to show what it takes.
    pub settled: bool,
}

/// Clock ticks of all processors since the boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// As they are now; zeros where /proc cannot be read.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::parse(&stat).unwrap_or_default()
    }

    /// The first line of /proc/stat: user, nice, system, idle, iowait, irq,
    /// softirq, steal (proc(5)). What a guest takes is part of `user`.
    fn parse(stat: &str) -> Option<Self> {
        let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .take(8)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let all: u64 = numbers.iter().sum();
        let idle = numbers.get(3)? + numbers.get(4)?;
        Some(Self {
            busy: all - idle,
            all,
        })
    }

    /// The share of the processors' time in use from `before` to `self`.
    #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
    pub fn share_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 {
            return 0.0;
        }
        self.busy.saturating_sub(before.busy) as f64 / all as f64
    }
}

/// Measures the load over a span that moves along.
#[derive(Debug)]
pub struct Meter {
    readings: Vec<(Instant, Ticks)>,
}

impl Meter {
    pub fn start() -> Self {
        Self {
            readings: vec![(Instant::now(), Ticks::now())],
        }
    }

    /// The load over about the last `span`.
    pub fn read(&mut self, span: Duration) -> Load {
        let (now, ticks) = (Instant::now(), Ticks::now());
        self.readings.push((now, ticks));
        // The oldest reading kept is the youngest that is at least that old.
        while self
            .readings
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= span)
        {
            self.readings.remove(0);
        }
        Load {
            busy: ticks.share_since(self.readings[0].1),
            available_mib: available_mib(),
            settled: false,
        }
    }
}

fn available_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    parse_available(&text).unwrap_or(0)
}

/// `MemAvailable:   12345 kB`
fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1\n").unwrap();
        let after = Ticks::parse("cpu  150 0 50 840 60 0 0 0 7 0\n").unwrap();
        assert!((after.share_since(before) - 0.5).abs() < 1e-9);
        assert!(before.share_since(before).abs() < 1e-9);
        assert_eq!(Ticks::parse("intr 1 2\n"), None);
    }

    #[test]
    fn memory_is_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   20480000 kB\n";
        assert_eq!(parse_available(text), Some(20_000));
        assert_eq!(parse_available(""), None);
    }
}
