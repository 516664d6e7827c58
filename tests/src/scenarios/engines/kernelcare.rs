//! `KernelCare`: what its files show, and what its tool is asked, how often and for
//! how long.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::stand::Stand;
use super::{Abi, inventory};
use crate::guest;
use crate::lpwatch::{self, Daemon, code};
use crate::trial::Trial;

const KCARECTL: &str = "/usr/bin/kcarectl";

/// Far longer than lpwatch waits for the tool, far shorter than the tool hangs.
const BOUNDED: Duration = Duration::from_mins(1);

/// A `kcarectl` of ours, gone when its scenario ends.
struct Tool {
    folder: TempDir,
}

impl Tool {
    /// One that writes down what it is asked, then does `body`.
    fn install(body: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let here = folder.path().display();
        let script = format!("#!/bin/sh\necho \"$1\" >> {here}/asked\n{body}\n");
        fs::create_dir_all("/usr/bin")?;
        fs::write(KCARECTL, script.replace("HERE", &here.to_string()))?;
        fs::set_permissions(KCARECTL, Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    fn asked(&self) -> Result<Vec<String>> {
        let file = self.folder.path().join("asked");
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(file)?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It fails only where there is none.
        drop(fs::remove_file(KCARECTL));
    }
}

fn stand(enabled: bool) -> Stand<'static> {
    Stand {
        patch: "kcare",
        engine: "kernelcare",
        enabled,
        direction: None,
        stalled: false,
        refused: false,
    }
}

pub fn run(trial: &mut Trial) -> Result<()> {
    let tool = Tool::install("exit 2")?;
    let daemon = Daemon::start(&[])?;
    let abi = Abi::load("abi_kcare")?;
    guest::wait_until("it is listed", || {
        Ok(lpwatch::poll()?.find("kcare").is_some())
    })?;
    stand(false).check()?;
    abi.tell("cve CVE-2021-3656")?;
    abi.tell("version 5.8.0-63.71")?;
    daemon.wait_outcome("kcare", "patching", "completed")?;
    let scrape = stand(true).check()?;
    scrape.has_no("lpwatch_transition_tasks{")?;
    told()?;
    abi.tell("clear")?;
    daemon.wait_outcome("kcare", "unpatching", "completed")?;
    stand(false).check()?;

    // All that time nobody has run it but `patches`, and that once.
    let asked = tool.asked()?;
    ensure!(asked == ["--status"], "{asked:?}");
    daemon.terminate()?.expect(&[code::WELL])?;
    drop(tool);
    codes()?;
    hangs(trial)?;
    drop(abi);
    uname()
}

/// Facts of its files and of its tool.
fn told() -> Result<()> {
    let shown = inventory(&["--no-tools", "--cve"])?;
    ensure!(shown["kernelcare"]["state"].is_null(), "{shown}");
    ensure!(shown["cves"][0]["id"] == "CVE-2021-3656", "{shown}");
    let effective = &shown["effective_kernel"];
    ensure!(effective["version"] == "5.8.0-63.71", "{shown}");
    let asked = inventory(&[])?;
    ensure!(asked["kernelcare"]["state"] == "newer_wait", "{asked}");
    ensure!(asked["notes"] == shown["notes"], "{asked}");
    Ok(())
}

/// Its exit codes, and one that it does not have.
fn codes() -> Result<()> {
    let standings = [
        (0, Some("latest")),
        (1, Some("nothing_applied")),
        (2, Some("newer_wait")),
        (3, Some("unsupported")),
        (9, None),
    ];
    for (code, expected) in standings {
        let _tool = Tool::install(&format!("exit {code}"))?;
        let inventory = inventory(&[])?;
        let standing = inventory["kernelcare"]["state"].as_str();
        ensure!(standing == expected, "{code}: {inventory}");
        ensure!(
            says(&inventory, "unknown code") == expected.is_none(),
            "{code}: {inventory}"
        );
    }
    Ok(())
}

/// One that hangs is ended with what it started, and not asked again.
fn hangs(trial: &mut Trial) -> Result<()> {
    let tool = Tool::install("sleep 600 &\necho $! > HERE/pid\nwait")?;
    let started = Instant::now();
    let inventory = inventory(&[])?;
    let took = started.elapsed();
    trial.figure("hanging kcarectl, seconds", took.as_secs());
    ensure!(took < BOUNDED, "it took {} s", took.as_secs());
    ensure!(says(&inventory, "did not finish within 5 s"), "{inventory}");
    ensure!(inventory["kernelcare"]["state"].is_null(), "{inventory}");
    let asked = tool.asked()?;
    ensure!(asked.len() == 1, "{asked:?}");
    let pid = fs::read_to_string(tool.folder.path().join("pid"))?;
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    guest::wait_until("what it started has ended", || {
        let is_there = fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        Ok(!is_there)
    })?;
    // Nor is it waited for by whoever asks how things stand.
    let started = Instant::now();
    lpwatch::look(&[&["--no-daemon"]])?;
    let daemon = Daemon::start(&[])?;
    thread::sleep(Duration::from_secs(3));
    daemon.terminate()?.expect(&[code::WELL])?;
    trial.figure("status and daemon, seconds", started.elapsed().as_secs());
    let asked = tool.asked()?;
    ensure!(asked.len() == 1, "{asked:?}");
    Ok(())
}

/// Where its files do not tell the kernel in force, its tool is asked.
fn uname() -> Result<()> {
    let tool = Tool::install("[ \"$1\" = --uname ] && echo 5.8.0-99 && exit 0\nexit 1")?;
    let inventory = inventory(&[])?;
    let effective = &inventory["effective_kernel"];
    ensure!(effective["version"] == "5.8.0-99", "{inventory}");
    let by = effective["source"].as_str().unwrap_or_default();
    ensure!(by.contains("kcarectl --uname"), "{inventory}");
    let asked = tool.asked()?;
    ensure!(asked == ["--status", "--uname"], "{asked:?}");
    let standing = &inventory["kernelcare"]["state"];
    ensure!(standing == "nothing_applied", "{inventory}");
    Ok(())
}

fn says(inventory: &Value, words: &str) -> bool {
    let notes = inventory["notes"].as_array().into_iter().flatten();
    notes
        .filter_map(Value::as_str)
        .any(|note| note.contains(words))
}
