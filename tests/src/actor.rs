//! Processes that a scenario needs beside itself: this program again, with a
//! part to play, ended when their scenario ends.

use std::env;
use std::fs;
use std::hint;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pause};

use crate::{foreign, uring, vfork};

/// Stacks of threads that do nothing.
const SMALL_STACK: usize = 16 * 1024;

/// Memory that threads leave to others.
const ROOM_KIB: usize = 300 * 1024;

#[derive(clap::Subcommand)]
pub enum Part {
    /// Threads that sleep in pause(2), beside the first one, which does as well
    Pausing { threads: usize },
    /// Threads that sleep in nanosleep(2), beside the first one
    Napping { threads: usize },
    /// A thread that starts processes, one after the other
    Forking,
    /// A thread that computes for ever on the first processor
    Computing,
    /// A real-time thread that computes for ever on the second processor
    Holding,
    /// A thread that reads a file, once
    Reading { file: String },
    /// A thread that holds a foreign BPF program
    Foreign,
    /// A process whose `io_uring` worker opens a FIFO, which waits for ever
    Uring,
    /// The parent of a vfork whose child does not end
    Vfork,
}

/// What the processes do.
pub fn play(part: &Part) -> Result<()> {
    match part {
        Part::Pausing { threads } => many(*threads, || {
            pause();
        }),
        Part::Napping { threads } => many(*threads, || thread::sleep(Duration::from_secs(1000))),
        Part::Forking => forking(),
        Part::Computing => computing(),
        Part::Holding => holding(),
        Part::Reading { file } => {
            println!("ready");
            fs::read(file)?;
            Ok(())
        }
        Part::Foreign => foreign::hold(),
        Part::Uring => uring::open_fifo(),
        Part::Vfork => vfork::wait_for_child(),
    }
}

/// Fewer than asked for, if there is no room for more.
fn many(threads: usize, sleep: fn()) -> Result<()> {
    let forever = move || {
        loop {
            sleep();
        }
    };
    let mut started = 0;
    while started < threads && (started % 500 != 0 || is_room()?) {
        let thread = thread::Builder::new().stack_size(SMALL_STACK);
        if thread.spawn(forever).is_err() {
            break;
        }
        started += 1;
    }
    println!("ready {started}");
    forever()
}

/// Whether there is memory enough for more threads, and for all else.
fn is_room() -> Result<bool> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .context("no MemAvailable")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib > ROOM_KIB)
}

const BETWEEN_FORKS: Duration = Duration::from_millis(10);

fn forking() -> Result<()> {
    println!("ready");
    loop {
        let mut child = Command::new("/bin/true").spawn()?;
        child.wait()?;
        thread::spawn(|| {})
            .join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        // Dozens a second are enough, and leave the processors to others.
        thread::park_timeout(BETWEEN_FORKS);
    }
}

/// Runs this process, and those that it starts, on one processor only.
pub fn stay_on(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn computing() -> Result<()> {
    stay_on(0)?;
    compute()
}

fn holding() -> Result<()> {
    stay_on(1)?;
    schedule(0, nix::libc::SCHED_FIFO, 90)?;
    compute()
}

/// Gives a task a policy, as chrt(1) does, which the guest lacks.
pub fn schedule(tid: i32, policy: i32, priority: i32) -> Result<()> {
    let parameter = nix::libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the kernel only reads the parameter.
    #[expect(unsafe_code, reason = "no safe wrapper is at hand")]
    let result = unsafe { nix::libc::sched_setscheduler(tid, policy, &raw const parameter) };
    nix::errno::Errno::result(result).context("setting a policy")?;
    Ok(())
}

fn compute() -> Result<()> {
    println!("ready");
    loop {
        // An emulated processor gives way to the others here.
        hint::spin_loop();
    }
}

/// Such a process.
pub struct Actor {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    pub first_words: String,
}

impl Actor {
    /// Starts it, and waits until it says that it is ready.
    pub fn start(part: &[&str]) -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .arg("act")
            .args(part)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {part:?}"))?;
        let mut actor = Self {
            child,
            stdout: None,
            first_words: String::new(),
        };
        actor.stdout = actor.child.stdout.take().map(BufReader::new);
        actor.first_words = actor.next_words()?;
        ensure!(
            actor.first_words.starts_with("ready"),
            "{part:?} ended before it was ready"
        );
        Ok(actor)
    }

    /// Waits for its next line.
    pub fn next_words(&mut self) -> Result<String> {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().context("no stdout")?;
        stdout.read_line(&mut line)?;
        Ok(line)
    }

    pub fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    /// Its threads.
    pub fn tids(&self) -> Vec<i32> {
        let folder = format!("/proc/{}/task", self.child.id());
        let names = crate::guest::names_in(folder.as_ref());
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// Waits until all its threads sleep in a function.
    pub fn wait_in(&self, function: &str) -> Result<()> {
        for tid in self.tids() {
            let path = format!("/proc/{}/task/{tid}/stack", self.child.id());
            crate::guest::wait_until("the thread sleeps where it should", || {
                let stack = fs::read_to_string(&path).context("the thread is gone")?;
                Ok(stack.contains(function))
            })
            .with_context(|| format!("{function}: {:?}", fs::read_to_string(&path)))?;
        }
        Ok(())
    }

    /// Waits until a signal has stopped all its threads.
    pub fn wait_stopped(&self) -> Result<()> {
        for tid in self.tids() {
            let path = format!("/proc/{}/task/{tid}/stat", self.child.id());
            crate::guest::wait_until("the thread is stopped", || {
                let stat = fs::read_to_string(&path).context("the thread is gone")?;
                let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
                Ok(fields.starts_with('T'))
            })?;
        }
        Ok(())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid()?), signal).with_context(|| format!("sending {signal}"))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail only for a process that has ended: nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
