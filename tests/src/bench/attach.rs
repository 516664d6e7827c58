//! What it takes to hook many functions: time, and memory.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use super::bpftrace::{Bpftrace, Kind};
use super::{Skipped, emit, functions, kernel_objects, memory, probes};
use crate::guest;
use crate::lpwatch::{Daemon, Running, code};

/// The kernel frees what was let go a little later.
const SETTLED: Duration = Duration::from_millis(500);

/// What hooks them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hooker {
    Lpwatch,
    BpftraceKprobe,
    BpftraceFentry,
}

/// One run of one tool.
#[derive(Serialize)]
#[serde(tag = "record", rename = "attach")]
struct Attached<'a> {
    tool: &'a str,
    functions: usize,
    round: u32,
    seconds: f64,
    /// Open files of the process, links and programs included.
    files: usize,
    /// The most memory that the process had.
    peak_kib: u64,
    /// What the kernel charges for programs and maps.
    kernel_bytes: u64,
    /// From the signal until the process was gone.
    seconds_to_end: f64,
}

/// What was seen of a tool while its hooks stood.
struct Seen {
    took: Duration,
    files: usize,
    peak_kib: u64,
    kernel_bytes: u64,
    ending: Duration,
}

#[derive(Serialize)]
#[serde(tag = "record", rename = "tools")]
struct Tools<'a> {
    bpftrace: Option<&'a str>,
}

pub fn run(rounds: u32, numbers: &[usize]) -> Result<()> {
    allow_files()?;
    let bpftrace = Bpftrace::find().map_err(|error| format!("{error:#}"));
    let bpftrace = bpftrace.as_ref().map_err(String::as_str);
    emit(&Tools {
        bpftrace: bpftrace.ok().map(|bpftrace| bpftrace.version.as_str()),
    })?;
    let most = numbers.iter().max().copied().unwrap_or_default();
    let functions = functions::rarely_called(most)?;
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let mut hookers = vec![
        Hooker::Lpwatch,
        Hooker::BpftraceKprobe,
        Hooker::BpftraceFentry,
    ];
    for round in 0..rounds {
        // lpwatch without any: what it has anyway, for the transitions.
        let seen = Hooker::Lpwatch.try_out(&[], bpftrace)?;
        seen.tell(Hooker::Lpwatch, 0, round)?;
        for number in numbers {
            let some = functions.get(..*number).context("too few functions")?;
            let mut impossible = Vec::new();
            for hooker in &hookers {
                eprintln!("round {round}, {}: {number} functions", hooker.name());
                match hooker.try_out(some, bpftrace) {
                    Ok(seen) => seen.tell(*hooker, *number, round)?,
                    Err(error) => {
                        let (work, why) = (number.to_string(), format!("{error:#}"));
                        emit(&Skipped {
                            work: &work,
                            hook: hooker.name(),
                            why,
                        })?;
                        impossible.push(*hooker);
                    }
                }
            }
            hookers.retain(|hooker| !impossible.contains(hooker));
        }
        hookers.rotate_left(1);
    }
    Ok(())
}

/// A tool holds a file or two for each function, and inherits the limit.
fn allow_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("allowing more open files")
}

impl Hooker {
    fn name(self) -> &'static str {
        match self {
            Self::Lpwatch => "lpwatch",
            Self::BpftraceKprobe => "bpftrace_kprobe",
            Self::BpftraceFentry => "bpftrace_fentry",
        }
    }

    fn try_out(self, functions: &[&str], bpftrace: Result<&Bpftrace, &str>) -> Result<Seen> {
        let kind = match self {
            Self::Lpwatch => return lpwatch(functions),
            Self::BpftraceKprobe => Kind::Kprobe,
            Self::BpftraceFentry => Kind::Fentry,
        };
        let bpftrace = bpftrace.map_err(|why| anyhow::anyhow!("{why}"))?;
        let before = settled()?;
        let tool = bpftrace.count(kind, functions)?;
        let (took, peak_kib) = (tool.took, memory::peak_kib(tool.pid())?);
        let files = open_files(tool.pid())?;
        let kernel_bytes = kernel_objects::bytes()?.saturating_sub(before);
        let asked_to_end = Instant::now();
        tool.end()?;
        Ok(Seen {
            took,
            files,
            peak_kib,
            kernel_bytes,
            ending: asked_to_end.elapsed(),
        })
    }
}

fn open_files(pid: u32) -> Result<usize> {
    let folder = format!("/proc/{pid}/fd");
    let files = fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    Ok(files.count())
}

fn lpwatch(functions: &[&str]) -> Result<Seen> {
    let before = settled()?;
    let watched = functions.iter().flat_map(|function| ["--watch", function]);
    let arguments: Vec<&str> = ["daemon"].into_iter().chain(watched).collect();
    let started = Instant::now();
    let daemon = if functions.is_empty() {
        Daemon::start(&[])?
    } else {
        let mut running = Running::lpwatch(&arguments)?;
        probes::wait_probed(functions, &mut running)?;
        Daemon { running }
    };
    let took = started.elapsed();
    let peak_kib = memory::peak_kib(daemon.pid())?;
    let files = open_files(daemon.pid())?;
    let kernel_bytes = kernel_objects::bytes()?.saturating_sub(before);
    let asked_to_end = Instant::now();
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(Seen {
        took,
        files,
        peak_kib,
        kernel_bytes,
        ending: asked_to_end.elapsed(),
    })
}

/// The kernel's memory for BPF once it does not change any more.
fn settled() -> Result<u64> {
    let mut last = None;
    guest::wait_for("the kernel frees what was let go", || {
        let now = kernel_objects::bytes()?;
        let same = last == Some(now);
        last = Some(now);
        if !same {
            thread::sleep(SETTLED);
        }
        Ok(same.then_some(now))
    })
}

impl Seen {
    fn tell(&self, hooker: Hooker, functions: usize, round: u32) -> Result<()> {
        emit(&Attached {
            tool: hooker.name(),
            functions,
            round,
            seconds: self.took.as_secs_f64(),
            files: self.files,
            peak_kib: self.peak_kib,
            kernel_bytes: self.kernel_bytes,
            seconds_to_end: self.ending.as_secs_f64(),
        })
    }
}
