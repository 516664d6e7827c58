//! `lpwatch verify` proves something or says that it did not: each exit code.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::calls::{BOTH, Caller};
use crate::lpwatch::{self, ALONE, Daemon, Ended, PATIENT, Running, code};
use crate::patch::Patch;
use crate::trial::Trial;

const PATCH: &str = "lp_calls";

/// Far longer than a call that is made at once takes.
const LONG: &str = "10m";

pub fn run(trial: &mut Trial) -> Result<()> {
    nothing_loaded()?;
    let mut caller = Caller::load()?;
    caller.leave()?;
    let daemon = Daemon::start(PATIENT)?;
    let patch = Patch::load_completely(PATCH)?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    let idle = verify(&[])?;
    gap(&idle, "not_called")?;
    says(trial, &["verify"], "lpwatch verify lp_calls --wait 10m")?;
    gap(&verify(&["--wait", "1s"])?, "not_called")?;

    let waiting = Running::lpwatch(&["verify", PATCH, "--wait", LONG])?;
    waiting.wait_asleep()?;
    ensure!(!waiting.has_spoken()?, "it returned without a call");
    caller.now(5)?;
    let called = waiting.end()?;
    trial.say(called.expect(&[code::WELL])?.text().trim_end());
    ensure!(called.text().contains("Proved: "), "{}", called.text());

    let proved = document(verify(&[])?.expect(&[code::WELL])?)?;
    ensure!(proved["verdict"] == "proved", "{proved}");
    ensure!(proved["exit_code"] == 0, "{proved}");
    // One function of the three is never called, and none a million times.
    for calls in [1_u64, 1_000_000] {
        let few = verify(&["--require-calls", &calls.to_string()])?;
        let few = document(few.expect(&[code::NOT_PROVED])?)?;
        ensure!(few["verdict"] == "not_proved", "{calls}: {few}");
        ensure!(few["required_calls"] == calls, "{calls}: {few}");
    }

    patch.disable()?;
    daemon.wait_outcome(PATCH, "unpatching", "completed")?;
    // Its folder in sysfs goes with its transition.
    verify(&[])?.expect(&[code::ERROR])?;
    drop(daemon);
    patch.remove()?;
    caller.unload()
}

/// Without a patch nothing is proved, and a patch that is not loaded has the same
/// exit code in every command.
fn nothing_loaded() -> Result<()> {
    let nothing = lpwatch::run(&[&["verify", "-o", "json", "--for", "1s"], ALONE])?;
    gap(&nothing, "no_functions")?;
    for command in ["status", "tasks", "calls", "verify", "wait"] {
        let ended = lpwatch::run(&[&[command, "lp_none"], ALONE])?;
        ended.expect(&[code::ERROR])?;
        ensure!(
            ended.stderr.contains("no live patch named `lp_none`"),
            "{command}: {}",
            ended.stderr
        );
    }
    Ok(())
}

fn verify(arguments: &[&str]) -> Result<Ended> {
    lpwatch::run(&[&["verify", PATCH, "-o", "json"], arguments])
}

fn says(trial: &Trial, arguments: &[&str], words: &str) -> Result<()> {
    let text = lpwatch::run(&[arguments])?.text();
    trial.say(text.trim_end());
    ensure!(text.contains(words), "it does not say {words:?}: {text}");
    Ok(())
}

/// Nothing is proved, because of this.
fn gap(ended: &Ended, because: &str) -> Result<()> {
    let document = document(ended.expect(&[code::NOT_PROVED])?)?;
    ensure!(
        document["verdict"] == "not_proved" && document["not_proved_because"] == because,
        "not {because}: {document}"
    );
    ensure!(document["exit_code"] == code::NOT_PROVED, "{document}");
    Ok(())
}

fn document(ended: &Ended) -> Result<Value> {
    serde_json::from_slice(&ended.stdout).with_context(|| ended.all_text())
}
