//! Runs a vendor's own tool, with limits of its time and output, and ends it
//! with all processes that it started.
//!
//! lpwatch runs a tool only when asked to, never for a plain status.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

/// The interval at which a running tool is checked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// More output than any of these tools has.
const OUTPUT_MAX: u64 = 1 << 20;

/// The result of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub output: String,
}

/// Why a tool gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("{} cannot be run: {source}", .tool.display())]
    NotRun { tool: PathBuf, source: io::Error },
    #[error("{} did not finish within {} s and was ended with all processes it started", .tool.display(), .limit.as_secs_f64())]
    TimedOut { tool: PathBuf, limit: Duration },
    #[error("{} printed more than {OUTPUT_MAX} bytes and was ended", .tool.display())]
    TooMuch { tool: PathBuf },
}

/// Runs a tool in its own process group, without standard input, and waits at
/// most `limit` for its end.
///
/// # Errors
/// It cannot be started, does not end in time, or prints too much.
pub fn run(tool: &Path, arguments: &[&str], limit: Duration) -> Result<ToolOutput, ToolError> {
    let not_run = |source| ToolError::NotRun {
        tool: tool.to_owned(),
        source,
    };
    // Not a pipe: one that a grandchild keeps open would never end.
    let output =
        memfd_create("lpwatch-tool", MemfdFlags::CLOEXEC).map_err(|errno| not_run(errno.into()))?;
    let mut output = File::from(output);
    let stdout = OwnedFd::from(output.try_clone().map_err(not_run)?);
    let mut child = Command::new(tool)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(not_run)?;
    let ended = wait(&mut child, &output, limit);
    // In any case: no process that it started stays behind.
    end_group(&child);
    let status = match ended {
        Ok(ToolEnd::Status(status)) => status,
        other => {
            let _ = child.wait();
            return Err(match other {
                Ok(ToolEnd::TooMuch) => ToolError::TooMuch {
                    tool: tool.to_owned(),
                },
                Err(source) => not_run(source),
                Ok(ToolEnd::TimedOut | ToolEnd::Status(_)) => ToolError::TimedOut {
                    tool: tool.to_owned(),
                    limit,
                },
            });
        }
    };
    let mut said = Vec::new();
    output.rewind().map_err(not_run)?;
    output
        .take(OUTPUT_MAX)
        .read_to_end(&mut said)
        .map_err(not_run)?;
    Ok(ToolOutput {
        code: status.code(),
        output: String::from_utf8_lossy(&said).into_owned(),
    })
}

/// The first line of a tool's output, if it succeeds.
///
/// # Errors
/// As [`run`].
pub fn first_line(
    tool: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<Option<String>, ToolError> {
    let ToolOutput { code, output } = run(tool, arguments, limit)?;
    let line = output.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.filter(|_| code == Some(0)).map(str::to_owned))
}

enum ToolEnd {
    Status(ExitStatus),
    TimedOut,
    TooMuch,
}

fn wait(child: &mut Child, output: &File, limit: Duration) -> io::Result<ToolEnd> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(ToolEnd::Status(status));
        }
        if output.metadata()?.len() > OUTPUT_MAX {
            return Ok(ToolEnd::TooMuch);
        }
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(ToolEnd::TimedOut);
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

/// The group's number is the leader's; the kernel does not reuse it while a
/// member lives.
fn end_group(child: &Child) {
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(leader) = leader {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<ToolOutput, ToolError> {
        run(Path::new("/bin/sh"), &["-c", script], limit)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn code_and_output_are_reported() {
        let answer = shell("echo out; echo err >&2; cat; exit 3", LONG).unwrap();
        assert_eq!((answer.code, answer.output.as_str()), (Some(3), "out\n"));
        let answer = shell("kill -9 $$", LONG).unwrap();
        assert_eq!(answer.code, None);
    }

    #[test]
    fn the_first_line_counts_where_it_succeeded() {
        let line = |script| first_line(Path::new("/bin/sh"), &["-c", script], LONG).unwrap();
        assert_eq!(
            line("echo; echo ' 5.4.0-1 '; echo more").as_deref(),
            Some("5.4.0-1")
        );
        assert_eq!(line("echo no; exit 1"), None);
        assert_eq!(line("true"), None);
    }

    #[test]
    fn one_that_hangs_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // The child ignores the hangup and would keep a pipe open.
        let script = format!(
            "trap '' HUP TERM; sleep 600 & echo $! > {}; wait",
            file.display()
        );
        let error = shell(&script, Duration::from_millis(700)).unwrap_err();
        assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
        let text = std::fs::read_to_string(file).unwrap();
        let stat = format!("/proc/{}/stat", text.trim());
        let gone = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let until = Instant::now() + LONG;
        while gone() && Instant::now() < until {
            thread::sleep(LOOK_EVERY);
        }
        assert!(!gone(), "the child still runs");
    }

    #[test]
    fn one_that_leaves_a_child_behind_ends_with_it() {
        let started = Instant::now();
        let answer = shell("sleep 600 & echo said", LONG).unwrap();
        assert_eq!(answer.output, "said\n");
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn one_that_says_too_much_or_is_not_there_is_reported() {
        let error = shell("cat /dev/zero", LONG).unwrap_err();
        assert!(matches!(error, ToolError::TooMuch { .. }), "{error}");
        let error = run(Path::new("/nonexistent/kcarectl"), &[], LONG).unwrap_err();
        assert!(error.to_string().contains("cannot be run"), "{error}");
    }
}
