//! Real-time threads that keep a CPU for themselves.
//!
//! Source: `proc_pid_stat(5)`; `do_task_stat` in `fs/proc/array.c`, 5.10 to 7.3.

use std::{fs, path::PathBuf, thread, time::Duration};

use super::{
    ReadError, Roots,
    tasks::{ProcTask, Scheduling, read_tasks, stat},
};

/// Real-time policies (include/uapi/linux/sched.h): FIFO, RR and DEADLINE.
const REAL_TIME: [u32; 3] = [1, 2, 6];

/// A thread that keeps its CPU is runnable in each of these looks.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The ticks that it runs meanwhile, at least: half of the time, at 100 a second,
/// because an emulated or crowded machine loses some.
const RAN: u64 = 10;

/// A real-time thread that is runnable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealTimeTask {
    pub task: ProcTask,
    pub scheduling: Scheduling,
}

/// The real-time threads that keep a CPU for themselves now. Takes 0.2 s if a
/// real-time thread is runnable.
///
/// # Errors
/// As [`read_tasks`].
pub fn cpu_holders(roots: &Roots) -> Result<Vec<RealTimeTask>, ReadError> {
    let listing = read_tasks(roots, None)?;
    let runnable = listing.remaining.into_iter().filter(is_runnable);
    let first: Vec<RealTimeTask> = runnable
        .filter_map(|task| look_again(roots, task.tgid, task.tid))
        .collect();
    let mut held = first.clone();
    for _ in 1..LOOKS {
        if held.is_empty() {
            return Ok(held);
        }
        thread::sleep(BETWEEN_LOOKS);
        held = held
            .iter()
            .filter_map(|before| {
                let now = look_again(roots, before.task.tgid, before.task.tid)?;
                is_same(before, &now).then_some(now)
            })
            .collect();
    }
    // Several can be runnable on one CPU: one of them runs.
    held.retain(|now| {
        let before = first.iter().find(|before| is_same(before, now));
        before.is_some_and(|before| now.scheduling.ticks >= before.scheduling.ticks + RAN)
    });
    Ok(held)
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
