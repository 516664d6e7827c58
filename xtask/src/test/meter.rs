//! How much processor time a guest has taken, from lap to lap.

use std::cell::Cell;
use std::fs;
use std::time::Instant;

use rustix::param::clock_ticks_per_second;

/// Follows one QEMU.
#[derive(Debug, Default)]
pub struct Meter {
    watched: Cell<Option<(u32, Instant)>>,
    /// Processor seconds until the last lap.
    last: Cell<f64>,
    /// Seconds and processor seconds until the guest first spoke.
    boot: Cell<Option<(f64, f64)>>,
}

impl Meter {
    /// Follows this process from now on.
    pub fn watch(&self, pid: u32) {
        self.watched.set(Some((pid, Instant::now())));
    }

    /// The guest has booted; only the first call counts.
    pub fn booted(&self) {
        if self.boot.get().is_none()
            && let Some((_, since)) = self.watched.get()
        {
            let processor = self.lap().unwrap_or_default();
            self.boot
                .set(Some((since.elapsed().as_secs_f64(), processor)));
        }
    }

    /// Seconds and processor seconds that the boot took.
    pub fn boot(&self) -> (f64, f64) {
        self.boot.get().unwrap_or_default()
    }

    /// Processor seconds since the last lap; `None` where that is unknown.
    pub fn lap(&self) -> Option<f64> {
        let (pid, _) = self.watched.get()?;
        let now = processor_seconds(pid)?;
        let lap = now - self.last.replace(now);
        Some(lap.max(0.0))
    }
}

fn processor_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = ticks(&stat)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Some(ticks as f64 / clock_ticks_per_second() as f64)
}

/// User and system time of a process, in clock ticks: fields 14 and 15 of
/// /proc/PID/stat (proc(5)), of all its threads. The name, which may hold
/// anything, ends with the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 100 0 0 0 70 8 0 0 20 0 3 0 99";
        assert_eq!(ticks(stat), Some(78));
        assert_eq!(ticks("12 (x"), None);
    }

    #[test]
    fn laps_add_up_and_nobody_is_no_time() {
        let meter = Meter::default();
        assert_eq!(meter.lap(), None);
        meter.watch(std::process::id());
        assert!(meter.lap().is_some());
        assert!(meter.lap().unwrap() < 60.0, "only what came since");
    }
}
