//! The shell script of `deploy/recipes` in a real kernel: it leaves a patch alone that
//! the check warns of, rolls one out, and reverses one that stalls although the check
//! could not know.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, code};
use crate::patch;
use crate::trial::Trial;

const TEXT: &str = include_str!("../../../deploy/recipes/rollout.sh");

const SCRIPT: &str = "/run/rollout.sh";
const DIR: &str = "/run/lpwatch-recipe";
const REPORT: &str = "/run/recipe.html";

/// Loads the module in which the patch stalls, too: after the check.
const LOADER: &str = "/run/recipe-load.sh";

pub fn run(trial: &mut Trial) -> Result<()> {
    // Whatever an earlier run left.
    drop(fs::remove_dir_all(DIR));
    program(SCRIPT, TEXT)?;
    let daemon = Daemon::start(&["--history-dir", DIR])?;
    danger(trial)?;
    completes(trial)?;
    stalls(trial)?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn program(file: &str, text: &str) -> Result<()> {
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Runs the script, which must end with this code; what it says.
fn rollout(trial: &Trial, name: &str, expected: i32, set: &[(&str, &str)]) -> Result<String> {
    let output = Command::new(SCRIPT)
        .arg(guest::module_file(name))
        .envs(set.iter().copied())
        .stdin(Stdio::null())
        .output()
        .context("starting the script")?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    trial.say(&said);
    ensure!(
        output.status.code() == Some(expected),
        "{name}: {}, not {expected}: {said}",
        output.status
    );
    Ok(said)
}

fn danger(trial: &Trial) -> Result<()> {
    let target = Module::load("lpwatch_target")?;
    let said = rollout(trial, "lp_stall", code::DANGER, &[])?;
    ensure!(said.contains("not loaded"), "{said}");
    ensure!(!guest::is_loaded("lp_stall"), "it was loaded all the same");
    target.unload()
}

fn completes(trial: &Trial) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let caller = thread::spawn(move || {
        while !asked.load(Ordering::Relaxed) {
            // Only that it is called matters.
            drop(fs::read("/proc/cmdline"));
            thread::sleep(Duration::from_millis(50));
        }
    });
    let said = rollout(trial, "lp_cmdline", code::WELL, &[("CALLS", "2m")]);
    stop.store(true, Ordering::Relaxed);
    ensure!(caller.join().is_ok(), "the caller failed");
    let said = said?;
    ensure!(said.contains("patching completed"), "{said}");
    ensure!(patch::enabled("lp_cmdline")? == Some(true));
    patch::sweep()
}

fn stalls(trial: &Trial) -> Result<()> {
    let target = guest::module_file("lpwatch_target");
    let loader = format!("#!/bin/sh\ninsmod {} && insmod \"$1\"\n", target.display());
    program(LOADER, &loader)?;
    let set = [("LOAD", LOADER), ("PATIENCE", "4s"), ("REPORT", REPORT)];
    let said = rollout(trial, "lp_stall", code::REVERSED, &set)?;
    ensure!(said.contains("reversing it"), "{said}");
    guest::wait_until("the patch is off", || {
        Ok(patch::transition("lp_stall")? != Some(true))
    })?;
    ensure!(patch::enabled("lp_stall")? != Some(true), "{said}");
    let report = fs::read_to_string(REPORT).context("no report")?;
    ensure!(report.contains("lpwatch_target_main"), "{report}");
    by_the_script()?;
    patch::sweep()
}

/// The events say who reversed it.
fn by_the_script() -> Result<()> {
    let text = lpwatch::run(&[&["events", "lp_stall", "-o", "json"]])?
        .expect(&[code::WELL])?
        .text();
    let document: Value = serde_json::from_str(&text)?;
    let mut events = document["events"].as_array().into_iter().flatten();
    let reversed = events.find(|event| event["kind"] == "transition_reversed");
    let details = &reversed.with_context(|| format!("no reversal: {text}"))?["details"];
    ensure!(
        details["comm"] == "rollout.sh" && details["uid"] == 0 && details["tid"].is_u64(),
        "not by the script: {details}"
    );
    Ok(())
}
