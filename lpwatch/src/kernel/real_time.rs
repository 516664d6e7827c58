//! Real-time threads that keep a CPU for themselves.
//!
//! Source: `proc_pid_stat(5)`, `proc_stat(5)`; `do_task_stat` in `fs/proc/array.c` and
//! `show_stat` in `fs/proc/stat.c`, 5.10 to 7.3.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{
    ReadError, Roots,
    tasks::{ProcTask, Scheduling, read_tasks, stat},
};

/// Real-time policies (include/uapi/linux/sched.h): FIFO, RR and DEADLINE.
const REAL_TIME: [u32; 3] = [1, 2, 6];

/// A thread that keeps its CPU is runnable in each of these looks, at least.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A virtual CPU that the host does not run accounts no time for anybody: there are
/// more looks, up to this number, until it has accounted [`ACCOUNTED`] ticks.
const MOST_LOOKS: u32 = 20;
const ACCOUNTED: u64 = 10;

/// The clock ticks that pass in a second of `/proc` (`USER_HZ`).
const TICKS_A_SECOND: u64 = 100;

/// A real-time thread that is runnable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealTimeTask {
    pub task: ProcTask,
    pub scheduling: Scheduling,
}

/// The real-time threads that keep a CPU for themselves now. Takes 0.2 s if a
/// real-time thread is runnable, up to 2 s if its CPU does not get to run.
///
/// # Errors
/// As [`read_tasks`].
pub fn cpu_holders(roots: &Roots) -> Result<Vec<RealTimeTask>, ReadError> {
    let listing = read_tasks(roots, None)?;
    let runnable = listing.remaining.into_iter().filter(is_runnable);
    let began = Instant::now();
    let times = CpuTimes::read(roots);
    let mut first: Vec<RealTimeTask> = runnable
        .filter_map(|task| look_again(roots, task.tgid, task.tid))
        .collect();
    let mut held = Vec::new();
    for look in 1..MOST_LOOKS {
        if first.is_empty() {
            break;
        }
        thread::sleep(BETWEEN_LOOKS);
        let now: Vec<(RealTimeTask, RealTimeTask)> = first
            .drain(..)
            .filter_map(|before| {
                let now = look_again(roots, before.task.tgid, before.task.tid)?;
                is_same(&before, &now).then_some((before, now))
            })
            .collect();
        let passed = times.since(roots, began.elapsed());
        for (before, now) in now {
            let accounted = passed(now.scheduling.cpu);
            if look + 1 < LOOKS || accounted < ACCOUNTED {
                first.push(before);
            } else if now.scheduling.ticks.saturating_sub(before.scheduling.ticks) * 2 >= accounted
            {
                // Several can be runnable on one CPU: one of them runs.
                held.push(now);
            }
        }
    }
    Ok(held)
}

/// What each CPU has accounted to somebody or to idleness, in clock ticks
/// (`proc_stat(5)`). Time that the host took (`steal`) is not part of it.
struct CpuTimes(BTreeMap<u32, u64>);

impl CpuTimes {
    fn read(roots: &Roots) -> Self {
        let text = fs::read_to_string(roots.procfs.join("stat")).unwrap_or_default();
        Self(text.lines().filter_map(cpu_line).collect())
    }

    /// The ticks that a CPU has accounted since; those of the clock if that is unknown.
    fn since(&self, roots: &Roots, elapsed: Duration) -> impl Fn(u32) -> u64 {
        let Self(now) = Self::read(roots);
        move |cpu| {
            let both = self.0.get(&cpu).zip(now.get(&cpu));
            both.map_or_else(
                || u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) * TICKS_A_SECOND / 1000,
                |(before, now)| now.saturating_sub(*before),
            )
        }
    }
}

/// The number of a CPU and its ticks, from `cpu1 10 20 ...`.
fn cpu_line(line: &str) -> Option<(u32, u64)> {
    /// user, nice, system, idle, iowait, irq, softirq; steal comes next.
    const FIELDS: usize = 7;
    let mut fields = line.split_ascii_whitespace();
    let cpu = fields.next()?.strip_prefix("cpu")?.parse().ok()?;
    let ticks = fields.take(FIELDS).map(|field| field.parse().unwrap_or(0));
    Some((cpu, ticks.fold(0, u64::saturating_add)))
}

/// The thread, if it is real-time and runnable.
#[must_use]
pub fn look_again(roots: &Roots, tgid: u32, tid: u32) -> Option<RealTimeTask> {
    let path: PathBuf = roots.procfs.join(format!("{tgid}/task/{tid}/stat"));
    let line = fs::read(path).ok()?;
    let task = stat::parse(&line, tid, tgid);
    let scheduling = stat::scheduling(&line)?;
    let is_real_time = REAL_TIME.contains(&scheduling.policy);
    (is_real_time && is_runnable(&task)).then_some(RealTimeTask { task, scheduling })
}

fn is_runnable(task: &ProcTask) -> bool {
    task.state == Some('R')
}

fn is_same(one: &RealTimeTask, other: &RealTimeTask) -> bool {
    one.task.tid == other.task.tid
        && one.task.started == other.task.started
        && one.scheduling.cpu == other.scheduling.cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_cpu_is_all_but_what_the_host_took() {
        let line = "cpu1 5 1 3 100 2 4 6 1000 7 8";
        assert_eq!(cpu_line(line), Some((1, 121)));
        assert_eq!(cpu_line("cpu  5 1 3 100"), None);
        assert_eq!(cpu_line("intr 5 1 3 100"), None);
    }

    #[test]
    fn a_cpu_that_does_not_run_accounts_nothing() {
        let procfs = tempfile::tempdir().unwrap();
        let roots = Roots {
            procfs: procfs.path().to_owned(),
            ..Roots::default()
        };
        let second = Duration::from_secs(1);
        let unknown = CpuTimes::read(&roots);
        assert_eq!(unknown.since(&roots, second)(1), 100);
        fs::write(procfs.path().join("stat"), "cpu1 50 0 0 0 0 0 0 0\n").unwrap();
        let before = CpuTimes::read(&roots);
        assert_eq!(before.since(&roots, second)(1), 0);
        fs::write(procfs.path().join("stat"), "cpu1 58 0 0 4 0 0 0 70\n").unwrap();
        assert_eq!(before.since(&roots, second)(1), 12);
    }
}
