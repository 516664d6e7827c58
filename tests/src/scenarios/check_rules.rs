//! Rules of `lpwatch check` in real kernels: each where it must speak, and
//! where it must not.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::foreign::{FUNCTION, Holder, PROGRAM};
use crate::guest::Module;
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::predictions::{Report, SHORT, check};
use crate::tasks::Code;
use crate::trial::Trial;

/// A kernel whose unwinder knows the frames of BPF trampolines has this.
const MARKER: &str = "bpf_has_frame_pointer";

/// Verdicts, exit codes, and a patch that is loaded already.
pub fn verdicts(trial: &mut Trial) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    for (patch, expected) in [("lp_stall", code::DANGER), ("lp_cmdline", code::WELL)] {
        let file = format!("/modules/{patch}.ko");
        for how in [&[][..], &["--no-bpf"]] {
            let ended = lpwatch::run(&[&["check", &file], SHORT, how])?;
            ended.expect(&[expected])?;
            let named = ended.text().contains("lpwatch_target (");
            ensure!(named == (expected == code::DANGER), "{}", ended.text());
        }
    }
    let stalled = check("lp_stall", SHORT)?;
    ensure!(
        stalled.verdict == "danger" && stalled.found("will_block", "danger"),
        "{stalled:?}"
    );

    let patch = Patch::load_completely("lp_cmdline")?;
    let loaded = lpwatch::run(&[&["check", "lp_cmdline", "-o", "json"], SHORT])?;
    loaded.expect(&[code::WELL])?;
    let report: Report = serde_json::from_slice(&loaded.stdout)?;
    ensure!(report.forecast.outcome == "loaded", "{report:?}");
    patch.remove()?;

    let bad = lpwatch::run(&[&["check", "/modules/no_such.ko"]])?;
    bad.expect(&[code::ERROR])?;
    ensure!(bad.stderr.contains("no_such.ko"), "said: {}", bad.stderr);
    let explained = lpwatch::run(&[&["check", "--explain", "will-block"]])?;
    explained.expect(&[code::WELL])?;
    trial.say(&explained.text());
    Ok(())
}

/// While another patch is in transition the kernel takes none.
pub fn busy(trial: &mut Trial) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    ensure!(
        !check("lp_cmdline", SHORT)?.found("busy", "note"),
        "nothing is in transition"
    );
    let stalled = Patch::load("lp_stall")?;
    stalled.wait_left(Code::Old, 1)?;
    let report = check("lp_cmdline", SHORT)?;
    trial.say(&report.forecast.text);
    ensure!(report.found("busy", "danger"), "{report:?}");
    ensure!(report.forecast.outcome == "refused", "{report:?}");
    stalled.remove()
}

/// A foreign fexit program below which tasks sleep, named with its owner; not
/// where the unwinder knows its frame.
pub fn foreign(trial: &mut Trial) -> Result<()> {
    let holder = Holder::start()?;
    // They fall asleep after it was attached: else it is not on their stacks.
    let napping = Actor::start(&["napping", "2"])?;
    napping.wait_in(FUNCTION)?;
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let known = symbols.lines().any(|line| line.contains(MARKER));
    let report = check("lp_cmdline", SHORT)?;
    let found = report
        .findings
        .iter()
        .find(|finding| finding.rule == "wont_switch");
    if known {
        ensure!(found.is_none(), "{report:?}");
        return Ok(());
    }
    let text = &found.context("nothing was found")?.text;
    trial.say(text);
    ensure!(report.verdict == "danger", "{report:?}");
    let owner = format!("({})", holder.actor.pid()?);
    for word in [PROGRAM, FUNCTION, &owner] {
        ensure!(text.contains(word), "no {word} in: {text}");
    }
    Ok(())
}

/// A daemon shows what a check expected beside what then happens.
pub fn beside(trial: &mut Trial) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    let daemon = Daemon::start(PATIENT)?;
    check("lp_stall", SHORT)?;
    let patch = Patch::load("lp_stall")?;
    patch.wait_left(Code::Old, 1)?;
    let document = lpwatch::look(&[])?;
    let shown = document
        .patch("lp_stall")?
        .check
        .as_ref()
        .context("no check")?;
    ensure!(shown.outcome == "stalls", "{shown:?}");
    trial.say(&shown.text);
    patch.remove()?;
    let document = daemon.wait_outcome("lp_stall", "patching", "reversed")?;
    let past = document.last("lp_stall").context("no last transition")?;
    let kept = past.check.as_ref().context("no check beside the outcome")?;
    ensure!(kept.outcome == "stalls", "{kept:?}");
    Ok(())
}
