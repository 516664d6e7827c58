//! One task in the way among many that are not: what it costs to find it, with
//! BPF and by reading /proc. All costs are printed, none is asserted.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::blockers::Blocker;
use crate::guest::{self, Module};
use crate::lpwatch::{ALONE, ALONE_NO_BPF, Daemon, Ended, PATIENT, Running, SOCKET, code};
use crate::patch::Patch;
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// In the kernel that does long work, and in the others.
const THREADS: usize = 20_000;
const FEWER: usize = 2_000;
const LOOKS: usize = 3;

/// The part of `lpwatch tasks -o json` that counts here.
#[derive(serde::Deserialize)]
struct Answer {
    blockers: Vec<Blocker>,
}

/// What one way of looking took.
struct Cost {
    fastest: Duration,
    peak_kib: u64,
}

pub fn run(trial: &mut Trial) -> Result<()> {
    for (limit, least) in [
        ("/proc/sys/kernel/threads-max", 40_000),
        ("/proc/sys/kernel/pid_max", 65_536),
        ("/proc/sys/vm/max_map_count", 262_144),
    ] {
        fs::write(limit, least.to_string()).with_context(|| format!("raising {limit}"))?;
    }
    let count = if guest::does_long_work()? {
        THREADS
    } else {
        FEWER
    };
    let threads = Actor::start(&["napping", &(count - 1).to_string()])?;
    trial.figure("threads", threads.tids().len());
    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    let left = stall.wait_left(Code::Old, 1)?;

    let loops = fastest(|| {
        let found = tasks::running(Code::Old);
        ensure!(found == left, "/proc says {found:?}");
        Ok(())
    })?;
    trial.figure("proc_loop_ms", loops.as_millis());
    let own = [("alone_bpf", ALONE), ("alone_no_bpf", ALONE_NO_BPF)];
    for (name, how) in own {
        let cost = cost(how, &left)?;
        figures(trial, name, &cost, loops);
    }
    let daemon = Daemon::start(PATIENT)?;
    let cost = cost(&[], &left)?;
    figures(trial, "daemon", &cost, loops);
    let asked = fastest(|| {
        let answer = ask_daemon()?;
        ensure!(answer.contains("\"blockers\":["), "answered: {answer}");
        Ok(())
    })?;
    let ratio = loops.as_secs_f64() / asked.as_secs_f64();
    trial.figure("daemon_asked_directly_ms", asked.as_millis());
    trial.figure("proc_loop_to_daemon_asked_directly", format!("{ratio:.1}"));
    trial.figure("daemon_peak_kib_itself", peak_kib(daemon.pid())?);
    Ok(())
}

/// The daemon's answer without the tool that prints it: what is left is its
/// look at all tasks.
fn ask_daemon() -> Result<String> {
    let mut socket = UnixStream::connect(SOCKET).context("connecting to the daemon")?;
    let request = "GET /api/v1/status HTTP/1.1\r\nHost: lpwatch\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

fn figures(trial: &mut Trial, name: &str, cost: &Cost, loops: Duration) {
    let ratio = loops.as_secs_f64() / cost.fastest.as_secs_f64();
    trial.figure(&format!("{name}_ms"), cost.fastest.as_millis());
    trial.figure(&format!("{name}_peak_kib"), cost.peak_kib);
    trial.figure(&format!("proc_loop_to_{name}"), format!("{ratio:.1}"));
}

fn fastest(mut look: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..LOOKS {
        let started = Instant::now();
        look()?;
        fastest = fastest.min(started.elapsed());
    }
    Ok(fastest)
}

/// Looks in that way, and checks that the one task is found.
fn cost(how: &[&str], left: &BTreeSet<i32>) -> Result<Cost> {
    let mut peak_kib = 0;
    let fastest = fastest(|| {
        let (ended, peak) = observed(&[&["tasks", "-o", "json"], how].concat())?;
        ended.expect(&[code::IN_TRANSITION, code::STALLED])?;
        let answer: Answer = serde_json::from_slice(&ended.stdout).context("no list of tasks")?;
        let found: BTreeSet<i32> = answer.blockers.iter().map(|one| one.tid).collect();
        ensure!(&found == left, "{how:?}: {found:?}, not {left:?}");
        peak_kib = peak_kib.max(peak);
        Ok(())
    })?;
    Ok(Cost { fastest, peak_kib })
}

/// Runs lpwatch to its end, and asks after its memory until then.
fn observed(arguments: &[&str]) -> Result<(Ended, u64)> {
    let running = Running::lpwatch(arguments)?;
    let pid = running.child.id();
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(now) = peak_kib(pid) {
            peak = peak.max(now);
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    let ended = running.end()?;
    let peak = watch.join();
    Ok((ended, peak.unwrap_or_default()))
}

/// The most memory a process has had so far. An ended one has none.
fn peak_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
