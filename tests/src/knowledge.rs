//! What lpwatch knows of a host at one moment: rows of the tables in
//! `docs/environments.md` and `docs/security.md`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::calls::{BOTH, Caller};
use crate::guest;
use crate::lpwatch::{PATIENT, Running};
use crate::patch::Patch;
use crate::restricted;
use crate::scrape;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

/// Disabling it waits for the task that sleeps in its code, until it is enabled again.
const STALLED: &str = "lp_sleepers";
/// A folder for each daemon, which can run as anyone.
const FOLDER: &str = "/run/lpwatch-knowledge";
const SOCKET: &str = "/run/lpwatch-knowledge/lpwatch.sock";
const CALLED: &str = "lp_calls";

/// The kernel answers about a task once a second, and counters are read as often.
const OBSERVED: Duration = Duration::from_millis(2500);

/// A patch that is called, and one whose disabling waits for a task. Nothing has to be
/// loaded any more: a kernel that is locked down refuses that.
pub struct Stand {
    // Dropped in this order: what a patch waits for goes before it.
    _sleeper: Sleeper,
    stalled: Patch,
    _called: Patch,
    caller: Caller,
}

impl Stand {
    pub fn new() -> Result<Self> {
        let mut caller = Caller::load()?;
        caller.leave()?;
        let called = Patch::load_completely(CALLED)?;
        let stalled = Patch::load_completely(STALLED)?;
        let sleeper = Sleeper::start()?;
        Ok(Self {
            _sleeper: sleeper,
            stalled,
            _called: called,
            caller,
        })
    }
}

/// The rows that a page lacks, as an error.
pub fn compare(docs: &str, rows: &[String]) -> Result<()> {
    let missing = rows
        .iter()
        .filter(|row| !docs.lines().any(|line| line == **row));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    ensure!(
        missing.is_empty(),
        "the page lacks:\n{}",
        missing.join("\n")
    );
    Ok(())
}

/// A row of such a table, and everything that lpwatch says is missing.
pub fn row(
    trial: &Trial,
    stand: &mut Stand,
    name: &str,
    rights: &[&str],
    options: &[&str],
) -> Result<(String, Vec<String>)> {
    fs::create_dir_all(FOLDER)?;
    // Whoever it runs as makes its socket here.
    fs::set_permissions(FOLDER, Permissions::from_mode(0o777))?;
    let daemon = ["daemon", "--socket", SOCKET, "--history-dir", FOLDER];
    let arguments = [&daemon, PATIENT, options].concat();
    let running = Running::start(restricted::prefix(rights)?, &arguments)?;
    guest::wait_until("it answers, with its hooks", || {
        let Ok(document) = last() else {
            return Ok(false);
        };
        Ok(!document["notes"].to_string().contains("is attaching"))
    })?;
    guest::wait_until("it sees the patches", || {
        Ok(found(&last()?["patches"], "name", CALLED).is_ok())
    })?;
    stand.caller.now(20)?;
    thread::park_timeout(OBSERVED);
    let at_rest = last()?;
    stand.stalled.disable()?;
    stand.stalled.wait_left(Code::New, 1)?;
    thread::park_timeout(OBSERVED);
    let in_transition = last()?;
    stand.stalled.enable()?;
    stand.stalled.wait_complete()?;
    running.signal(Signal::SIGTERM)?;
    running.end()?;
    fs::remove_dir_all(FOLDER)?;
    let cells = [tasks(&in_transition)?, calls(&at_rest)?].concat();
    let row = format!("| {name} | {} |", cells.join(" | "));
    trial.say(&row);
    let said = [said(&at_rest), said(&in_transition)].concat();
    for text in &said {
        trial.say(&format!("  {text}"));
    }
    Ok((row, said))
}

/// What the daemon knows now.
fn last() -> Result<Value> {
    let text = scrape::ask_socket(SOCKET, "/api/v1/status")?;
    serde_json::from_str(&text).context(text)
}

fn found<'a>(list: &'a Value, key: &str, value: &str) -> Result<&'a Value> {
    let mut items = list.as_array().into_iter().flatten();
    let found = items.find(|item| item[key] == value);
    found.with_context(|| format!("no {key} {value}: {list}"))
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "–" }.to_owned()
}

fn attached(document: &Value, fact: &str) -> bool {
    let probe = found(&document["probes"], "fact", fact);
    probe.is_ok_and(|probe| probe["attached"] == true)
}

/// What it knows of a transition and its tasks: the first cells.
fn tasks(document: &Value) -> Result<Vec<String>> {
    let transition = &found(&document["patches"], "name", STALLED)?["transition"];
    ensure!(!transition.is_null(), "no transition: {document}");
    let blocker = &transition["blockers"][0];
    let is_known = !blocker["reason"].is_null() && blocker["reason"] != "pending";
    Ok(vec![
        match (&transition["tasks_remaining"], &document["source"]) {
            (Value::Null, _) => "–".to_owned(),
            (left, _) if *left != 1 => bail!("{left} tasks are left: {transition}"),
            (_, source) => source.as_str().unwrap_or("–").to_owned(),
        },
        yes(is_known),
        yes(!blocker["kernel_check"].is_null()),
        if attached(document, "begun") && attached(document, "complete") {
            "hooks".to_owned()
        } else if attached(document, "log") {
            "log".to_owned()
        } else {
            "sysfs".to_owned()
        },
    ])
}

/// What it knows of calls, and whether it reads the log: the other cells.
fn calls(document: &Value) -> Result<Vec<String>> {
    let patch = found(&document["patches"], "name", CALLED)?;
    let mut cells = Vec::new();
    let mut entered = Vec::new();
    for function in BOTH {
        let object = found(&patch["objects"], "name", function.object)?;
        let calls = &found(&object["functions"], "name", function.name)?["calls"];
        let is_right = calls.is_null() || calls["new"].as_u64().is_some_and(|new| new > 0);
        ensure!(is_right, "calls were made: {calls}");
        cells.push(calls["counter"].as_str().unwrap_or("–").to_owned());
        entered.push(calls["effective"] == true);
    }
    cells.push(yes(entered.iter().all(|entered| *entered)));
    cells.push(yes(attached(document, "log")));
    Ok(cells)
}

/// Everything that it says is missing.
fn said(document: &Value) -> Vec<String> {
    let mut said = Vec::new();
    let mut add = |text: &Value| said.extend(text.as_str().map(str::to_owned));
    for note in document["notes"].as_array().into_iter().flatten() {
        add(note);
    }
    for probe in document["probes"].as_array().into_iter().flatten() {
        add(&probe["note"]);
    }
    for patch in document["patches"].as_array().into_iter().flatten() {
        for object in patch["objects"].as_array().into_iter().flatten() {
            for function in object["functions"].as_array().into_iter().flatten() {
                add(&function["not_counted"]);
                add(&function["calls"]["not_entered"]);
            }
        }
    }
    said.sort();
    said.dedup();
    said
}
