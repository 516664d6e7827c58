//! Wrong arguments get a sentence and an exit code, and completions know the patches
//! and tasks of this host.

use std::env;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::guest::Module;
use crate::lpwatch::{self, ALONE, PATIENT, code};
use crate::patch::Patch;
use crate::tasks::{self, Code};
use crate::trial::Trial;

const USAGE: i32 = 2;

pub fn run(trial: &mut Trial) -> Result<()> {
    sockets(trial)?;
    zeros()?;
    let target = Module::load("lpwatch_target")?;
    let patch = Patch::load("lp_stall")?;
    patch.wait_left(Code::Old, 1)?;
    names(trial)?;
    completions()?;
    ordinary_module(trial)?;
    in_transition(trial)?;
    patch.disable()?;
    patch.remove()?;
    target.unload()
}

/// Who names a socket wants the daemon there, and not a look without one.
fn sockets(trial: &Trial) -> Result<()> {
    let commands: [&[&str]; 7] = [
        &["status"],
        &["tasks"],
        &["explain", "1"],
        &["wait"],
        &["calls", "--for", "1s"],
        &["verify", "--for", "1s"],
        &["doctor"],
    ];
    for (socket, why) in [
        ("/run/lpwatch/none.sock", "no such file exists"),
        ("/tmp", "it is a directory"),
        ("/proc/version", "it is not a socket"),
    ] {
        for command in commands {
            let ended = lpwatch::run(&[command, &["--socket", socket]])?;
            ended.expect(&[code::ERROR])?;
            ensure!(
                ended.stderr.contains(why) && ended.text().is_empty(),
                "{command:?}: {}",
                ended.all_text()
            );
            if command == ["status"] {
                trial.say(ended.stderr.trim_end());
            }
        }
    }
    Ok(())
}

fn zeros() -> Result<()> {
    let commands: [&[&str]; 7] = [
        &["status", "--stall-after", "0"],
        &["check", "lp_stall", "--sample", "0"],
        &["wait", "--timeout", "0"],
        &["verify", "--for", "0"],
        &["verify", "--wait", "0s"],
        &["calls", "--for", "0s"],
        &["fleet", "wait", "lp_fix", "--interval", "0"],
    ];
    for command in commands {
        let ended = lpwatch::run(&[command])?;
        ended.expect(&[USAGE])?;
        ensure!(
            ended.stderr.contains("it must be longer than 0"),
            "{command:?}: {}",
            ended.stderr
        );
    }
    Ok(())
}

/// The name of a task stands for the one task that has it.
fn names(trial: &Trial) -> Result<()> {
    let explained = lpwatch::run(&[&["explain", "lpwatch_target"], ALONE, PATIENT])?;
    let text = explained.expect(&[code::IN_TRANSITION])?.text();
    ensure!(text.contains("lpwatch_target"), "{text}");
    let nobody = lpwatch::run(&[&["explain", "nobody"], ALONE, PATIENT])?;
    trial.say(nobody.expect(&[code::ERROR])?.stderr.trim_end());
    ensure!(
        nobody.stderr.contains("has the name `nobody`") && nobody.stderr.contains("lpwatch tasks"),
        "{}",
        nobody.stderr
    );
    Ok(())
}

fn completions() -> Result<()> {
    let left = tasks::running(Code::Old);
    let tid = left.first().context("no task is left")?.to_string();
    for (command, expected) in [("status", "lp_stall"), ("explain", tid.as_str())] {
        let program = env::var_os("LPWATCH_BIN").unwrap_or_else(|| "/bin/lpwatch".into());
        let output = Command::new(program)
            .env("LPWATCH_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", "2")
            .env("_CLAP_IFS", "\n")
            .args(["--", "lpwatch", command, ""])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            text.lines().any(|line| line.trim() == expected),
            "{command}: {expected} is missing: {text:?}"
        );
    }
    Ok(())
}

/// A module that is no live patch is an error, loaded or not.
fn ordinary_module(trial: &Trial) -> Result<()> {
    let file = crate::guest::module_file("lpwatch_target");
    let file = file.to_str().context("a path that is not text")?;
    for argument in [file, "lpwatch_target"] {
        let checked = lpwatch::run(&[&["check", argument], ALONE])?;
        trial.say(checked.expect(&[code::ERROR])?.stderr.trim_end());
        ensure!(
            checked.stderr.contains("is not a live patch") && checked.text().is_empty(),
            "{}",
            checked.all_text()
        );
    }
    Ok(())
}

/// A patch in transition is not to be loaded any more.
fn in_transition(trial: &Trial) -> Result<()> {
    let checked = lpwatch::run(&[&["check", "lp_stall"], ALONE])?;
    let text = checked.text();
    trial.say(text.trim_end());
    for words in ["is in transition", "lpwatch status lp_stall"] {
        ensure!(text.contains(words), "it does not say {words:?}: {text}");
    }
    ensure!(!text.contains("before you load it"), "{text}");
    Ok(())
}
