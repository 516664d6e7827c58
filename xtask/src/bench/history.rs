//! `cargo xtask bench history`: how large a long history is, and how soon `lpwatch
//! history` prints its first line, beside `lpwatch status`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::goal::Goal;
use super::table::Table;
use crate::{build, paths, process};

/// Transitions in the history.
const TRANSITIONS: u32 = 1000;

/// The largest size of that history.
const MOST_BYTES: u64 = 8 << 20;

/// The first line of `history` in percent of the time of that of `status`.
const MOST_PERCENT: u64 = 150;

/// What a recorded host shows.
const TREE: &str = "tests/trees/6.12";

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Measures on this machine, and compares.
pub fn goals(rounds: u32) -> Result<Vec<Goal>> {
    let [lpwatch, writer] = build::history_programs()?;
    let folder = TempDir::with_prefix("lpwatch-bench-")?;
    let history = folder.path().join("history");
    process::run(
        Command::new(&writer)
            .arg(&history)
            .arg(TRANSITIONS.to_string()),
    )?;
    let size = fs::metadata(history.join("history.db"))?.len();

    let tree = paths::workspace().join(TREE);
    let (sys, proc) = (tree.join("sys"), tree.join("proc"));
    let roots = [
        "--sysfs-root".as_ref(),
        sys.as_os_str(),
        "--procfs-root".as_ref(),
        proc.as_os_str(),
    ];
    let socket = folder.path().join("lpwatch.sock");
    let mut daemon = process::tied(&lpwatch);
    daemon
        .args(roots)
        .arg("--socket")
        .arg(&socket)
        .args(["daemon", "--web.disable", "--history-dir"])
        .arg(&history);
    let _daemon = Daemon::start(&mut daemon, &socket)?;

    let asked = |command: &str| {
        let mut asked = Command::new(&lpwatch);
        asked.arg("--socket").arg(&socket).arg(command);
        asked
    };
    let alone = |words: &[&str]| {
        let mut alone = Command::new(&lpwatch);
        alone.args(roots).arg("--no-daemon").args(words);
        alone
    };
    let folder = history.to_string_lossy().into_owned();
    let pairs = [
        ("with a daemon", asked("status"), asked("history")),
        (
            "without one",
            alone(&["status"]),
            alone(&["history", "--history-dir", &folder]),
        ),
    ];
    let mut goals = vec![Goal {
        name: format!("the history of {TRANSITIONS} transitions, bytes"),
        most: MOST_BYTES,
        value: size,
    }];
    let mut table = Table::new(&["first line, ms (median)", "status", "history"]);
    for (name, status, history) in pairs {
        let [status, history] = medians(rounds, [status, history])?;
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        table.row([name.to_owned(), ms(status), ms(history)]);
        let percent = history.as_micros() * 100 / status.as_micros().max(1);
        goals.push(Goal {
            name: format!("the first line of history, {name}, percent of that of status"),
            most: MOST_PERCENT,
            value: percent.try_into()?,
        });
    }
    println!("{}", table.text());
    Ok(goals)
}

/// The median times to the first line of both, which take turns.
fn medians(rounds: u32, mut commands: [Command; 2]) -> Result<[Duration; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    // The first turn only warms up.
    for round in 0..=rounds {
        for (command, times) in commands.iter_mut().zip(&mut times) {
            let time = first_line(command)?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }))
}

fn first_line(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().context("no output")?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    reader.read_line(&mut line)?;
    let time = begun.elapsed();
    let mut rest = Vec::new();
    while reader.read_until(b'\n', &mut rest)? > 0 {}
    child.wait()?;
    ensure!(
        !line.is_empty(),
        "`{}` says nothing",
        process::shown(command)
    );
    Ok(time)
}

/// A daemon that ends with this.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command, socket: &Path) -> Result<Self> {
        let mut daemon = Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
        );
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            if let Some(status) = daemon.0.try_wait()? {
                bail!("`{}` ended ({status})", process::shown(command));
            }
            ensure!(Instant::now() < deadline, "the daemon does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
