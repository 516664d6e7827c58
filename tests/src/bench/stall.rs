//! What a daemon takes of a host: at rest, and in a stall of many threads that nobody
//! asks about.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::{emit, kernel_objects, memory};
use crate::actor::Actor;
use crate::guest::Module;
use crate::lpwatch::Daemon;
use crate::patch::Patch;
use crate::tasks::{self, Code};

/// How long the processor's time is measured.
const WATCHED: Duration = Duration::from_secs(20);

/// In the stall, until nothing of its beginning is left.
const SETTLED: Duration = Duration::from_secs(20);

/// A daemon at one moment.
#[derive(Serialize)]
#[serde(tag = "record", rename = "taken")]
struct Taken<'a> {
    when: &'a str,
    threads: usize,
    resident_kib: u64,
    peak_kib: u64,
    /// What the kernel charges for programs and maps.
    kernel_bytes: u64,
    /// Of one processor, in percent.
    processor: f64,
    /// How long one reading of all tasks in /proc takes, in milliseconds.
    loop_ms: f64,
}

pub fn run(threads: usize) -> Result<()> {
    for (limit, least) in [
        ("/proc/sys/kernel/threads-max", 2 * threads),
        ("/proc/sys/kernel/pid_max", (2 * threads).max(65_536)),
        ("/proc/sys/vm/max_map_count", 8 * threads),
    ] {
        fs::write(limit, least.to_string()).with_context(|| format!("raising {limit}"))?;
    }
    let before = kernel_objects::bytes()?;
    let daemon = Daemon::start(&["--slow-after", "5s", "--stall-after", "10s"])?;
    let kernel_bytes = kernel_objects::bytes()?.saturating_sub(before);
    thread::sleep(Duration::from_secs(2));
    tell("idle", &daemon, kernel_bytes)?;

    let _threads = Actor::start(&["pausing", &(threads - 1).to_string()])?;
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    stall.wait_left(Code::Old, 1)?;
    thread::sleep(SETTLED);
    tell("stall", &daemon, kernel_bytes)?;
    stall.disable()?;
    stall.wait_gone()?;
    daemon.terminate()?;
    Ok(())
}

fn tell(when: &str, daemon: &Daemon, kernel_bytes: u64) -> Result<()> {
    let (ticks, started) = (tasks::ticks(daemon.pid())?, Instant::now());
    thread::sleep(WATCHED);
    let used = tasks::ticks(daemon.pid())? - ticks;
    let passed = started.elapsed();
    let started = Instant::now();
    let left = tasks::running(Code::Old);
    let loop_ms = started.elapsed().as_secs_f64() * 1000.0;
    ensure!((when == "idle") == left.is_empty(), "{when}: {left:?}");
    emit(&Taken {
        when,
        threads: tasks::count(),
        resident_kib: memory::kib(daemon.pid(), "VmRSS:")?,
        peak_kib: memory::kib(daemon.pid(), "VmHWM:")?,
        kernel_bytes,
        // A tick is a hundredth of a second.
        processor: f64::from(u32::try_from(used)?) / passed.as_secs_f64(),
        loop_ms,
    })
}
