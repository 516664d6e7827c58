//! The report about a transition that is stalled, about the same one once it has ended,
//! and about one in which tasks of programs are left, without their names.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::utsname::uname;
use serde_json::Value;

use crate::guest;
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::sleeper::Sleeper;
use crate::tasks::Code;
use crate::trial::Trial;

const DIR: &str = "/run/lpwatch-report";
const FILE: &str = "/run/lpwatch-report.html";
const IMPATIENT: &[&str] = &["--slow-after", "2s", "--stall-after", "4s"];

pub fn run(trial: &mut Trial) -> Result<()> {
    // Whatever an earlier run left.
    drop(fs::remove_dir_all(DIR));
    let daemon = Daemon::start(&[IMPATIENT, &["--history-dir", DIR]].concat())?;
    stalled(trial)?;
    ended(&daemon)?;
    without_names()?;

    daemon.terminate()?.expect(&[code::WELL])?;
    let alone = document(&["--patch", "lp_stall"])?;
    ensure!(alone["daemon"] == false, "{alone}");
    ensure!(
        alone["ended"]["transition"]["outcome"] == "reversed",
        "{alone}"
    );
    report(&["--html", "/nowhere/report.html"])?.expect(&[code::ERROR])?;
    report(&["9999"])?.expect(&[code::ERROR])?;
    Ok(())
}

fn report(more: &[&str]) -> Result<lpwatch::Ended> {
    lpwatch::run(&[&["report", "--history-dir", DIR], more])
}

fn document(more: &[&str]) -> Result<Value> {
    let text = report(&[&["-o", "json"], more].concat())?
        .expect(&[code::WELL])?
        .text();
    serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
}

/// It stays stalled until [`ended`].
fn stalled(trial: &mut Trial) -> Result<()> {
    guest::load("lpwatch_target")?;
    guest::load("lp_stall")?;
    guest::wait_until("the transition is stalled", || {
        let document = lpwatch::poll()?;
        Ok(document.transition("lp_stall")?.phase.as_deref() == Some("stalled"))
    })?;
    report(&["--html", FILE])?.expect(&[code::WELL])?;
    let page = fs::read_to_string(FILE)?;
    let text = report(&[])?.expect(&[code::WELL])?.text();
    trial.say(&text);
    let kernel = "starting patching transition";
    for part in [
        "lp_stall",
        "lpwatch_target_main",
        "echo 0 &gt; /sys/kernel/livepatch",
        kernel,
    ] {
        ensure!(page.contains(part), "the page lacks {part}: {page}");
    }
    for part in [
        "stalled",
        "lpwatch_target_main",
        "/sys/kernel/livepatch/lp_stall",
        kernel,
    ] {
        ensure!(text.contains(part), "the text lacks {part}: {text}");
    }
    let events = document(&[])?;
    let kinds: Vec<&str> = events["events"]
        .as_array()
        .context("no events")?
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    for kind in ["transition_begun", "transition_stalled"] {
        ensure!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    Ok(())
}

fn ended(daemon: &Daemon) -> Result<()> {
    fs::write("/sys/kernel/livepatch/lp_stall/enabled", "0")?;
    daemon.wait_outcome("lp_stall", "patching", "reversed")?;
    guest::wait_until("it is gone", || {
        Ok(crate::patch::transition("lp_stall")?.is_none())
    })?;
    guest::unload("lp_stall")?;
    guest::unload("lpwatch_target")?;
    let report = document(&[])?;
    ensure!(report["patch"].is_null(), "{report}");
    ensure!(
        report["ended"]["transition"]["outcome"] == "reversed",
        "{report}"
    );
    let held = &report["ended"]["blockers"][0];
    ensure!(held["comm"] == "lpwatch_target", "{report}");
    let log = report["kernel_log"].to_string();
    ensure!(log.contains("starting unpatching transition"), "{log}");
    Ok(())
}

/// What is appended to /etc/passwd goes again.
struct User(String);

impl User {
    fn add(name: &str) -> Result<Self> {
        let before = fs::read_to_string("/etc/passwd")?;
        let line = format!("{name}:x:1000:1000::/home/{name}:/bin/sh\n");
        fs::write("/etc/passwd", format!("{before}{line}"))?;
        Ok(Self(before))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        drop(fs::write("/etc/passwd", &self.0));
    }
}

fn without_names() -> Result<()> {
    let _user = User::add("alice")?;
    let sleeper = Sleeper::start()?;
    let pid = sleeper.pid()?;
    let patch = Patch::load("lp_sleepers")?;
    patch.wait_left(Code::Old, 1)?;
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    let comm = comm.trim();
    let open = report(&["--html", "-"])?.expect(&[code::WELL])?.text();
    let redacted = report(&["--redact", "--html", "-"])?
        .expect(&[code::WELL])?
        .text();
    let json = document(&["--redact"])?.to_string();
    let host = uname()?.nodename().to_string_lossy().into_owned();
    ensure!(open.contains(comm) && open.contains(&host), "{open}");
    let mut names = vec![host, comm.to_owned(), "alice".to_owned()];
    names.extend(command_lines()?);
    for name in &names {
        ensure!(
            !redacted.contains(name),
            "{name} is in the page: {redacted}"
        );
        ensure!(!json.contains(name), "{name} is in the document: {json}");
    }
    ensure!(redacted.contains("PROGRAM1"), "{redacted}");
    drop(sleeper);
    patch.wait_complete()?;
    patch.remove()
}

/// The command lines with arguments of all processes.
fn command_lines() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in guest::names_in(std::path::Path::new("/proc")) {
        if let Ok(line) = fs::read(format!("/proc/{name}/cmdline")) {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.trim().contains(' ') {
                lines.push(line.trim().to_owned());
            }
        }
    }
    ensure!(!lines.is_empty(), "no process has arguments");
    Ok(lines)
}
