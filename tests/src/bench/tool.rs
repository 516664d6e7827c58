//! A process that holds hooks in the kernel, and says when they are placed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How a tool's line begins that says so.
pub const READY: &str = "ready";

/// How the line begins that says what was counted: bpftrace's way to print a
/// map without a name.
pub const COUNTED: &str = "@: ";

/// A tool whose hooks are placed.
pub struct Tool {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// From its start until it was ready.
    pub took: Duration,
}

impl Tool {
    /// Starts it, and waits until it is ready.
    pub fn start<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<Self> {
        let mut stderr = tempfile::tempfile()?;
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            // What bpftrace takes for too much otherwise; by old and new name.
            .env("BPFTRACE_MAX_PROBES", "1024")
            .env("BPFTRACE_MAX_BPF_PROGS", "1024")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut tool = Self {
            child,
            stdout: BufReader::new(stdout),
            took: Duration::ZERO,
        };
        let mut line = String::new();
        while !line.starts_with(READY) {
            line.clear();
            if tool.stdout.read_line(&mut line)? == 0 {
                bail!("{program}: {}", words(&mut stderr)?);
            }
        }
        tool.took = started.elapsed();
        Ok(tool)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it: gives what it counted, if it counts.
    pub fn end(mut self) -> Result<Option<u64>> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGINT)?;
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a tool ended with {status}: {rest}");
        let counted = rest.lines().find_map(|line| line.strip_prefix(COUNTED));
        Ok(counted.map(str::parse).transpose()?)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail only for a process that has ended: nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first of what it said on its way out, in one line.
fn words(stderr: &mut File) -> Result<String> {
    let mut text = String::new();
    stderr.rewind()?;
    stderr.read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().map(str::trim).take(4).collect();
    if lines.is_empty() {
        return Ok("it ended without a word".to_owned());
    }
    Ok(lines.join("; "))
}
