//! `lpwatch status --watch`: a line only for what changed besides clocks, at most one
//! per interval, and a table that follows.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::guest::{self, Module};
use crate::lpwatch::{self, ALONE_NO_BPF, Daemon, PATIENT, Running, code};
use crate::patch::Patch;
use crate::scrape;
use crate::tasks::Code;
use crate::trial::Trial;

const PATCH: &str = "lp_stall";

const LINES: &[&str] = &["status", "--watch", "-o", "jsonl"];

/// States that differ in clocks alone, of which none may be printed.
const QUIET: u32 = 4;

/// What passes by itself, and what the kernel counts once a second.
const CLOCKS: &[&str] = &[
    "taken_at",
    "age_seconds",
    "seconds_without_progress",
    "since_seconds",
    "first_seconds",
    "last_seconds",
    "seconds",
    "trend",
    "tries",
    "tries_in_all",
    "rates",
    // Of a task, which may wake for a moment.
    "state",
];

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(PATIENT)?;
    let target = Module::load("lpwatch_target")?;
    let lines = Running::lpwatch(LINES)?;
    let alone = Running::lpwatch(&[LINES, ALONE_NO_BPF, PATIENT].concat())?;
    let rare = Running::lpwatch(&[LINES, &["--interval", "1h"]].concat())?;
    let paced = Running::lpwatch(&[LINES, &["--interval", "2s"]].concat())?;
    let table = Running::lpwatch(&["status", "--watch"])?;
    for watching in [&lines, &alone, &rare, &paced, &table] {
        guest::wait_until("the first state is printed at once", || {
            watching.has_spoken()
        })?;
    }
    for watching in [&lines, &alone, &rare, &paced] {
        let first = documents(watching)?;
        ensure!(
            matches!(&first[..], [one] if patch(one).is_none()),
            "{first:?}"
        );
    }

    let stall = Patch::load(PATCH)?;
    stall.wait_left(Code::Old, 1)?;
    for watching in [&lines, &alone, &paced] {
        follows(watching, "it is in transition with one task left", |last| {
            left(last) == Some(1)
        })?;
    }
    guest::wait_until("the table shows it", || {
        Ok(table.stdout()?.contains("1 of "))
    })?;
    quiet(trial, &lines, &table)?;

    stall.disable()?;
    stall.wait_gone()?;
    for watching in [&lines, &alone, &paced] {
        follows(watching, "the patch is gone", |last| patch(last).is_none())?;
    }
    guest::wait_until("the table shows no patch", || {
        let text = table.stdout()?;
        Ok(text
            .rfind("No live patch is loaded")
            .is_some_and(|at| Some(at) > text.rfind("1 of ")))
    })?;
    let rare_lines = documents(&rare)?;
    ensure!(
        rare_lines.len() == 1,
        "more than one in an hour: {rare_lines:?}"
    );
    for (name, watching) in [("lines", lines), ("alone", alone), ("paced", paced)] {
        let documents = documents(&watching)?;
        differ(&documents).context(name)?;
        trial.figure(&format!("{name}_printed"), documents.len());
        interrupted(watching)?;
    }
    interrupted(rare)?;
    interrupted(table)?;
    stall.remove()?;
    target.unload()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// While only clocks change no line is printed, and the table is.
fn quiet(trial: &mut Trial, lines: &Running, table: &Running) -> Result<()> {
    let (mut same, mut before) = (0, None);
    let (mut printed, mut tables) = (documents(lines)?.len(), table.stdout()?.len());
    guest::wait_until("clocks go on, and nothing else changes", || {
        let body = scrape::ask_socket(lpwatch::SOCKET, "/api/v1/status")?;
        let now: Value = serde_json::from_str(&body)?;
        let timeless = timeless(&now);
        match &before {
            // The same answer again.
            Some((clocks, _)) if *clocks == now => {}
            Some((_, known)) if *known == timeless => same += 1,
            // Something has changed: from here on anew.
            Some(_) | None => {
                same = 0;
                lines.wait_asleep()?;
                (printed, tables) = (documents(lines)?.len(), table.stdout()?.len());
            }
        }
        before = Some((now, timeless));
        std::thread::park_timeout(std::time::Duration::from_millis(500));
        Ok(same >= QUIET)
    })?;
    // One line can be late, or for the kernel's signal, which came since the last answer.
    let lines = documents(lines)?;
    let new = lines.get(printed..).unwrap_or_default();
    ensure!(new.len() <= 1, "nothing has changed: {new:?}");
    ensure!(
        table.stdout()?.len() > tables,
        "the table does not show that time passes"
    );
    trial.figure("quiet_answers", same);
    Ok(())
}

/// Waits until the last line is of such a state.
fn follows(watching: &Running, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
    guest::wait_until(what, || Ok(documents(watching)?.last().is_some_and(&is_it)))
        .with_context(|| watching.stdout().unwrap_or_default())
}

/// Each line says something else than the one before.
fn differ(documents: &[Value]) -> Result<()> {
    ensure!(documents.len() >= 3, "{documents:?}");
    for pair in documents.windows(2) {
        if let [one, next] = pair {
            ensure!(
                timeless(one) != timeless(next),
                "the same but for clocks: {one} {next}"
            );
        }
    }
    Ok(())
}

/// The exit code is that of the last state.
fn interrupted(watching: Running) -> Result<()> {
    watching.signal(Signal::SIGINT)?;
    watching.end()?.expect(&[code::WELL])?;
    Ok(())
}

/// What was printed so far: a document on each line that is whole.
fn documents(watching: &Running) -> Result<Vec<Value>> {
    let text = watching.stdout()?;
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).with_context(|| format!("no document: {line}")))
        .collect()
}

fn patch(document: &Value) -> Option<&Value> {
    let patches = document["patches"].as_array()?;
    patches.iter().find(|patch| patch["name"] == PATCH)
}

fn left(document: &Value) -> Option<u64> {
    patch(document)?["transition"]["tasks_remaining"].as_u64()
}

/// A document without what passes by itself.
fn timeless(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            let lasting = fields
                .iter()
                .filter(|(name, _)| !CLOCKS.contains(&name.as_str()));
            lasting
                .map(|(name, value)| (name.clone(), timeless(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(timeless).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => document.clone(),
    }
}
