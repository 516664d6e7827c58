//! lpwatch with less than it would like: it says what it lacks and goes on
//! with what there is.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::contract::Document;
use crate::guest::Module;
use crate::lpwatch::{ALONE, Ended, PATIENT, Running, code};
use crate::patch::Patch;
use crate::restricted;
use crate::tasks::{self, Code};
use crate::trial::Trial;

/// A transition with one task left, to be seen with fewer rights.
struct Stalled {
    // Dropped in this order: the patch goes before what it patches.
    _patch: Patch,
    _target: Module,
}

fn stalled() -> Result<Stalled> {
    let target = Module::load("lpwatch_target")?;
    let patch = Patch::load("lp_stall")?;
    patch.wait_left(Code::Old, 1)?;
    Ok(Stalled {
        _patch: patch,
        _target: target,
    })
}

fn restricted(options: &[&str], arguments: &[&[&str]]) -> Result<Ended> {
    Running::start(restricted::prefix(options)?, &arguments.concat())?.end()
}

fn says(ended: &Ended, words: &[&str]) -> Result<()> {
    let text = ended.all_text().to_lowercase();
    let said = words.iter().any(|word| text.contains(&word.to_lowercase()));
    ensure!(said, "says none of {words:?}: {}", ended.all_text());
    Ok(())
}

fn falls_back(document: &Document) -> Result<()> {
    ensure!(document.source == "procfs", "source {}", document.source);
    super::stall::check_blocker(document.transition("lp_stall")?)
}

/// Who may not inspect the tasks foretells nothing about them.
fn no_forecast(trial: &mut Trial) -> Result<()> {
    let check = [
        "check",
        "/modules/lp_cmdline.ko",
        "--sample",
        "1s",
        "-o",
        "json",
    ];
    let ended = restricted(&["--uid", "65534"], &[&check])?;
    let report: Value = serde_json::from_slice(&ended.expect(&[code::WELL])?.stdout)?;
    let forecast = &report["forecast"];
    trial.say(&forecast["text"].to_string());
    ensure!(
        report["verdict"] == "warning"
            && forecast["outcome"] == "not_known"
            && forecast["at_once"].is_null(),
        "{report}"
    );
    Ok(())
}

/// An ordinary user may read little of this.
pub fn no_root(trial: &mut Trial) -> Result<()> {
    no_forecast(trial)?;
    let _stalled = stalled()?;
    let allowed = [code::NO_PERMISSION, code::IN_TRANSITION, code::STALLED];
    for output in ["table", "json"] {
        let ended = restricted(
            &["--uid", "65534"],
            &[&["status", "-o", output], ALONE, PATIENT],
        )?;
        ended.expect(&allowed)?;
        says(&ended, &["root", "permission", "CAP_", "privilege"])?;
        if output == "json" {
            let document = ended.document()?;
            let transition = document.transition("lp_stall")?;
            ensure!(
                transition.tasks_remaining.is_none() && transition.blockers.is_empty(),
                "it cannot know how many are left: {transition:?}"
            );
        }
    }
    no_zeros(trial)?;
    let ended = restricted(&["--uid", "65534"], &[&["daemon"]])?;
    ended.expect(&[code::ERROR, code::NO_PERMISSION])?;
    says(&ended, &["root", "permission", "CAP_", "privilege"])
}

/// What cannot be known without rights is no zero, in no command.
fn no_zeros(trial: &Trial) -> Result<()> {
    let left = tasks::running(Code::Old);
    let tid = left.first().context("no task is left")?.to_string();
    let ask = |arguments: &[&str]| {
        let ended = restricted(&["--uid", "65534"], &[arguments, ALONE, PATIENT])?;
        trial.say(&format!("{}: {}", arguments.join(" "), ended.all_text()));
        anyhow::Ok(ended)
    };
    let explained = ask(&["explain", &tid])?;
    explained.expect(&[code::NO_PERMISSION])?;
    let text = explained.all_text();
    ensure!(
        text.contains("cannot be known")
            && text.contains(&format!("\n    sudo lpwatch explain {tid}\n")),
        "{text}"
    );
    let tasks = ask(&["tasks"])?;
    tasks.expect(&[code::IN_TRANSITION, code::STALLED])?;
    let waited = ask(&["wait", "lp_stall", "--timeout", "1s"])?;
    waited.expect(&[code::TIMED_OUT])?;
    let verified = ask(&["verify", "--for", "1s"])?;
    verified.expect(&[code::NOT_PROVED])?;
    let called = ask(&["calls", "--for", "1s"])?;
    for ended in [explained, tasks, waited, verified, called] {
        let text = ended.all_text();
        let zeros = [" 0 ", "(0)", " 0\n", " 0.0 ", " 0%"];
        let zero = zeros.into_iter().find(|zero| text.contains(zero));
        ensure!(zero.is_none(), "an unknown number is {zero:?}: {text}");
    }
    Ok(())
}

/// Root in name, without what BPF asks for.
pub fn no_capabilities(_: &mut Trial) -> Result<()> {
    let _stalled = stalled()?;
    let without = [
        "--drop",
        "CAP_BPF",
        "--drop",
        "CAP_PERFMON",
        "--drop",
        "CAP_SYS_ADMIN",
    ];
    let ended = restricted(&without, &[&["status", "-o", "json"], ALONE, PATIENT])?;
    falls_back(&ended.expect(&[code::IN_TRANSITION])?.document()?)?;
    let ended = restricted(&without, &[&["status"], ALONE, PATIENT])?;
    ended.expect(&[code::IN_TRANSITION])?;
    says(&ended, &["BPF"])
}

/// A kernel without type information: BPF cannot find its way.
pub fn no_btf(_: &mut Trial) -> Result<()> {
    let _stalled = stalled()?;
    let without = ["--hide", "/sys/kernel/btf"];
    let ended = restricted(&without, &[&["status", "-o", "json"], ALONE, PATIENT])?;
    falls_back(&ended.expect(&[code::IN_TRANSITION])?.document()?)?;
    let ended = restricted(&without, &[&["status"], ALONE, PATIENT])?;
    ended.expect(&[code::IN_TRANSITION])?;
    says(&ended, &["BTF"])
}

/// A kernel without livepatch at all.
pub fn no_livepatch(_: &mut Trial) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().unwrap_or_default();
    let ended = restricted(
        &[],
        &[&["status", "--sysfs-root", path, "--procfs-root", path]],
    )?;
    ended.expect(&[code::KERNEL_CANNOT])?;
    says(&ended, &["livepatch", "live patch"])?;
    let ended = restricted(&["--hide", "/sys/kernel/livepatch"], &[&["status"], ALONE])?;
    ended.expect(&[code::WELL])?;
    Ok(())
}
