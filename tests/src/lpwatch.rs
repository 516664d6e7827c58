//! Runs lpwatch and reads what it says.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use crate::contract::Document;
use crate::guest::{self, SOON};
use crate::{patch, schema, scrape};

/// Exit codes of `status`, `wait`, `calls`, `verify` and `check`.
pub mod code {
    pub const WELL: i32 = 0;
    pub const ERROR: i32 = 1;
    pub const NO_PERMISSION: i32 = 3;
    pub const KERNEL_CANNOT: i32 = 4;
    pub const IN_TRANSITION: i32 = 10;
    pub const STALLED: i32 = 11;
    pub const REVERSED: i32 = 12;
    pub const DANGER: i32 = 13;
    pub const WARNING: i32 = 14;
    pub const NOT_PROVED: i32 = 15;
    pub const TIMED_OUT: i32 = 124;
}

/// What the kernel has finished, a daemon should know at once. The guests are
/// slow, and no absolute time is asserted: this is for what never comes.
const RECORDED: Duration = Duration::from_secs(30);

/// What [`poll`] asks for.
const STATUS: &str = "/api/v1/status";

/// Where the daemon listens unless told otherwise.
pub const SOCKET: &str = "/run/lpwatch/lpwatch.sock";

/// Thresholds so long that no transition here is ever slow or stalled.
pub const PATIENT: &[&str] = &["--slow-after", "1h", "--stall-after", "1h"];

/// Looks for itself, with and without BPF.
pub const ALONE: &[&str] = &["--no-daemon"];
pub const ALONE_NO_BPF: &[&str] = &["--no-daemon", "--no-bpf"];

/// A process that is running, its output going to files: however much it
/// prints, it never waits for a reader.
pub struct Running {
    pub child: Child,
    line: String,
    arguments: Vec<String>,
    stdout: File,
    stderr: File,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    line: String,
    status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Running {
    pub fn lpwatch(arguments: &[&str]) -> Result<Self> {
        Self::start(Vec::new(), arguments)
    }

    /// Starts lpwatch behind a prefix: a command that becomes it.
    pub fn start(prefix: Vec<OsString>, arguments: &[&str]) -> Result<Self> {
        let mut line = prefix;
        line.push(env::var_os("LPWATCH_BIN").unwrap_or_else(|| "/bin/lpwatch".into()));
        line.extend(arguments.iter().map(OsString::from));
        let (program, rest) = line.split_first().context("an empty command line")?;
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let child = Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            child,
            line: format!("lpwatch {}", arguments.join(" ")),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            stdout,
            stderr,
        })
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.line))
    }

    /// Waits for its end. One that does not end is killed, and an error.
    pub fn end(mut self) -> Result<Ended> {
        let deadline = Instant::now() + SOON;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not end in {} s", self.line, SOON.as_secs());
            }
            // Not asleep in nanosleep(2): scenarios patch and trace that.
            thread::park_timeout(Duration::from_millis(2));
        }
        self.ended()
    }

    fn ended(mut self) -> Result<Ended> {
        let status = self.child.wait()?;
        let stdout = contents(&self.stdout)?;
        let stderr = self.stderr()?;
        let line = self.line.clone();
        schema::check_output(&self.arguments, &stdout)
            .with_context(|| format!("{line}: {}", String::from_utf8_lossy(&stdout)))?;
        Ok(Ended {
            line,
            status,
            stdout,
            stderr,
        })
    }

    /// Waits until it sleeps, look after look: it has read what there is, and waits
    /// for more. However busy the guest is, who still has work to do is running.
    pub fn wait_asleep(&self) -> Result<()> {
        const LOOKS: u32 = 5;
        const BETWEEN: Duration = Duration::from_millis(50);
        let path = format!("/proc/{}/stat", self.child.id());
        let mut asleep = 0;
        guest::wait_until("it waits for something", || {
            let stat = fs::read_to_string(&path).context("it has ended")?;
            let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
            asleep = if fields.starts_with('S') {
                asleep + 1
            } else {
                0
            };
            thread::park_timeout(BETWEEN);
            Ok(asleep >= LOOKS)
        })
        .with_context(|| self.line.clone())
    }

    /// Whether it has printed anything yet.
    pub fn has_spoken(&self) -> Result<bool> {
        Ok(self.stdout.metadata()?.len() > 0)
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&contents(&self.stdout)?).into_owned())
    }

    /// What it has said so far on its standard error.
    pub fn stderr(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&contents(&self.stderr)?).into_owned())
    }
}

/// Reads without moving the position, which the process that writes shares.
fn contents(file: &File) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len())?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended: nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// The exit code. A process that a signal ended has none: it crashed.
    pub fn code(&self) -> Result<i32> {
        let Some(code) = self.status.code() else {
            bail!(
                "{} was ended by signal {:?}: {}",
                self.line,
                self.status.signal(),
                self.stderr
            );
        };
        ensure!(code != 101, "{} panicked: {}", self.line, self.stderr);
        Ok(code)
    }

    /// Checks the exit code, and shows all there is if it is another.
    pub fn expect(&self, expected: &[i32]) -> Result<&Self> {
        let code = self.code()?;
        ensure!(
            expected.contains(&code),
            "{} exited with {code}, not {expected:?}; stdout: {}; stderr: {}",
            self.line,
            self.text(),
            self.stderr
        );
        Ok(self)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// All it said, on either stream.
    pub fn all_text(&self) -> String {
        format!("{}\n{}", self.text(), self.stderr)
    }

    pub fn document(&self) -> Result<Document> {
        serde_json::from_slice(&self.stdout).with_context(|| {
            format!(
                "{} broke its contract: {}; {}",
                self.line,
                self.text(),
                self.stderr
            )
        })
    }
}

/// Runs lpwatch to its end.
pub fn run(arguments: &[&[&str]]) -> Result<Ended> {
    Running::lpwatch(&arguments.concat())?.end()
}

/// `lpwatch status -o json`, which must end with one of these exit codes.
pub fn status(arguments: &[&[&str]], expected: &[i32]) -> Result<Document> {
    let ended = run(&[&["status", "-o", "json"], &arguments.concat()])?;
    ended.expect(expected)?.document()
}

/// A look at everything, whatever state it is in.
pub fn look(arguments: &[&[&str]]) -> Result<Document> {
    status(arguments, &[code::WELL, code::IN_TRANSITION, code::STALLED])
}

/// What the daemon itself answers, without a command in between. For waiting:
/// the start of a program takes an emulated guest longer than the answer.
pub fn poll() -> Result<Document> {
    ask(STATUS)
}

/// The daemon's answer to a request for this path.
pub fn ask<T: DeserializeOwned>(path: &str) -> Result<T> {
    let body = scrape::ask_socket(SOCKET, path)?;
    schema::check_answer(path, &body).with_context(|| body.clone())?;
    read(&body)
}

fn read<T: DeserializeOwned>(body: &str) -> Result<T> {
    serde_json::from_str(body).with_context(|| format!("the API broke its contract: {body}"))
}

/// Whether the daemon still attaches its hooks, and answers without them.
pub fn is_attaching(document: &Document) -> bool {
    let mut notes = document.notes.iter();
    notes.any(|note| note.starts_with("lpwatch is attaching its hooks"))
}

/// A daemon, ended when its scenario ends.
pub struct Daemon {
    pub running: Running,
}

impl Daemon {
    /// Starts one at the usual socket, and waits until it has attached its hooks.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let mut running = Running::lpwatch(&[&["daemon"], arguments].concat())?;
        guest::wait_until("the daemon answers", || {
            if let Some(status) = running.child.try_wait()? {
                bail!("the daemon ended ({status}): {}", running.stderr()?);
            }
            // Before it is ready nobody listens.
            let Ok(body) = scrape::ask_socket(SOCKET, STATUS) else {
                return Ok(false);
            };
            schema::check_answer(STATUS, &body)?;
            let document: Document = read(&body)?;
            Ok(document.daemon && !is_attaching(&document))
        })?;
        Ok(Self { running })
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Waits until the daemon has the newest outcome of that patch.
    pub fn wait_outcome(&self, patch: &str, direction: &str, outcome: &str) -> Result<Document> {
        guest::wait_until("the transition ends", || {
            Ok(patch::transition(patch)? != Some(true))
        })?;
        let mut seen = None;
        guest::wait_at_most(RECORDED, "the daemon records the outcome", || {
            let document = poll()?;
            let there = document.last(patch).is_some_and(|past| {
                past.direction.as_deref() == Some(direction) && past.outcome == outcome
            });
            seen = Some(format!("{:?}", document.last_transitions));
            // The command has to say the same.
            if there { look(&[]).map(Some) } else { Ok(None) }
        })
        .with_context(|| {
            let log = self.running.stderr().unwrap_or_default();
            format!("{patch}: {direction}, {outcome}; seen: {seen:?}; the daemon's log: {log}")
        })
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(self) -> Result<Ended> {
        self.running.signal(Signal::SIGTERM)?;
        self.running.end()
    }

    /// Ends it without a chance to tidy up.
    pub fn kill(self) -> Result<()> {
        self.running.signal(Signal::SIGKILL)?;
        self.running.end()?;
        Ok(())
    }
}
