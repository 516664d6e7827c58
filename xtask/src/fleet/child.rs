//! A program that runs beside the test, and ends with it on every way out.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::interrupt;
use crate::process::{shown, tail, tied};

const TICK: Duration = Duration::from_millis(100);

/// A running program; dropping it ends it.
pub struct Child {
    child: process::Child,
    name: String,
}

impl Child {
    /// Starts a program that says what it has to say where we do.
    pub fn start(command: &Command) -> Result<Self> {
        Self::spawn(tied_to_us(command).stdin(Stdio::null()))
    }

    /// Starts a program with all it says kept in a file.
    pub fn start_logged(command: &Command, log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut tied = tied_to_us(command);
        Self::spawn(
            tied.stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file),
        )
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", shown(command)))?;
        Ok(Self {
            child,
            name: shown(command),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended.
    pub fn ensure_runs(&mut self, log: &Path) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let said = fs::read_to_string(log).unwrap_or_default();
            bail!("`{}` ended ({status}):\n{}", self.name, tail(&said, 10));
        }
        Ok(())
    }

    /// Waits for its end; Ctrl-C ends it.
    pub fn wait_or_interrupt(&mut self) -> Result<ExitCode> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
            if interrupt::asked() {
                return Ok(ExitCode::from(interrupt::EXIT_CODE));
            }
            thread::sleep(TICK);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only where it has already gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program that was given a time ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end, which must come within `limit`.
pub fn run(command: &Command, limit: Duration) -> Result<Ended> {
    let mut tied = tied_to_us(command);
    let mut child = tied
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut running = Child {
        child,
        name: shown(command),
    };
    let outputs = [
        thread::spawn(move || lines(stdout)),
        thread::spawn(move || lines(stderr)),
    ];
    let ended = super::until::until(&running.name.clone(), limit, || {
        Ok(running
            .child
            .try_wait()?
            .ok_or_else(|| "it still runs".to_owned()))
    });
    drop(running);
    let [stdout, stderr] = outputs.map(|output| output.join().unwrap_or_default());
    let status = ended.with_context(|| format!("its last words: {}", tail(&stderr, 10)))?;
    Ok(Ended {
        code: status.code(),
        stdout,
        stderr,
    })
}

fn lines(output: Option<impl std::io::Read>) -> String {
    let mut text = String::new();
    if let Some(mut output) = output {
        // What was read before an error is still worth showing.
        let _ = output.read_to_string(&mut text);
    }
    text
}

/// Starts a program and waits for the line of its stdout that `pick` knows.
pub fn start_and_hear<T: Send + 'static>(
    command: &Command,
    limit: Duration,
    pick: impl Fn(&str) -> Option<T> + Send + 'static,
) -> Result<(Child, T)> {
    let mut tied = tied_to_us(command);
    let mut child = tied
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let output = child.stdout.take();
    let child = Child {
        child,
        name: shown(command),
    };
    let (heard, hears) = mpsc::channel();
    thread::spawn(move || {
        // Read to its end: a full pipe would stop the program.
        for line in output
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            let Ok(line) = line else { break };
            if let Some(found) = pick(&line) {
                // Only the first is awaited.
                let _ = heard.send(found);
            }
        }
    });
    let found = hears
        .recv_timeout(limit)
        .ok()
        .with_context(|| format!("`{}` did not say where it listens", child.name))?;
    Ok((child, found))
}

fn tied_to_us(command: &Command) -> Command {
    let mut tied = tied(command.get_program());
    tied.args(command.get_args());
    tied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_heard_and_ended() {
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo hello; echo listening on 1; exec sleep 100"]);
        let heard = |line: &str| line.strip_prefix("listening on ").map(str::to_owned);
        let (child, port) = start_and_hear(&sh, Duration::from_secs(20), heard).unwrap();
        assert_eq!(port, "1");
        let id = child.id();
        drop(child);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo why >&2; exec sleep 100"]);
        let error = run(&sh, Duration::from_millis(600)).err().unwrap();
        assert!(format!("{error:#}").contains("why"), "{error:#}");
        let ended = run(
            Command::new("sh").args(["-c", "exit 11"]),
            Duration::from_secs(20),
        );
        assert_eq!(ended.unwrap().code, Some(11));
    }
}
