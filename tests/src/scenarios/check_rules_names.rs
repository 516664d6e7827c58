//! `lpwatch check` and the names of a patch's objects, in real kernels.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;

use crate::guest::Module;
use crate::lpwatch::{self, ALONE_NO_BPF, code};
use crate::patch::Patch;
use crate::predictions::{SHORT, agreeing_row, check, put_to_the_test, row};
use crate::trial::Trial;

const RULE: &str = "object_name";

/// Patches of `lpwatch_target_value`, and the names that they use for its module.
const WRONG: [(&str, &str); 4] = [
    ("lp_name_ko", "lpwatch_target.ko"),
    ("lp_name_dash", "lpwatch-target"),
    ("lp_name_case", "lpwatch_TARGET"),
    ("lp_name_path", "kernel/lib/lpwatch_target"),
];

/// What the old code and the new code of the function give.
const OLD: &str = "1";
const NEW: &str = "2";

pub fn run(trial: &mut Trial) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    for (name, object) in WRONG {
        let report = check(name, SHORT)?;
        let words = [object, "no effect", "Did you mean `lpwatch_target`?"];
        trial.say(&report.finding(RULE, "danger", &words)?.text);
        ensure!(report.verdict == "danger", "{report:?}");
        ensure!(report.forecast.outcome == "completes", "{report:?}");
        let others = report.findings.iter().filter(|found| found.rule != RULE);
        let contrary = others.filter(|found| found.text.contains(object)).count();
        ensure!(contrary == 0, "another rule speaks of it: {report:?}");

        let patch = Patch::load_completely(name)?;
        ensure!(value()? == OLD, "{name} has an effect");
        row(
            trial,
            &format!("{name} (lpwatch_target)"),
            "completes, without effect",
            "completed, without effect",
            "yes",
        )?;
        // Once it is loaded sysfs names the object.
        let loaded = check_loaded(name)?;
        ensure!(loaded.contains("has no effect"), "{loaded}");
        if name != "lp_name_case" {
            never_patched(name)?;
        }
        patch.remove()?;
    }

    let empty = check("lp_name_empty", SHORT)?;
    trial.say(&empty.refusing(RULE, Errno::EINVAL, &["empty name"])?.text);
    let happened = put_to_the_test("lp_name_empty", &empty)?;
    agreeing_row(trial, "lp_name_empty", &empty, &happened)?;

    let right = check("lp_value", SHORT)?;
    right.silent(RULE)?;
    let patch = Patch::load_completely("lp_value")?;
    ensure!(value()? == NEW, "lp_value has no effect");
    patch.remove()
}

/// What a call of the function gives.
fn value() -> Result<String> {
    let text = fs::read_to_string("/proc/lpwatch_target").context("calling the function")?;
    Ok(text.trim().to_owned())
}

/// `status` and `verify` say so too: no module is only not loaded.
fn never_patched(name: &str) -> Result<()> {
    let status = lpwatch::run(&[&["status", name], ALONE_NO_BPF])?;
    let verify = lpwatch::run(&[&["verify", name], ALONE_NO_BPF])?;
    for (text, words) in [
        (status.expect(&[code::WELL])?.text(), "is never patched"),
        (verify.expect(&[code::DANGER])?.text(), "never runs"),
    ] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let meant = text.contains("the author of the patch meant `lpwatch_target`");
        ensure!(meant && text.contains(words), "{name}: {text}");
        ensure!(!text.contains("not loaded"), "{name}: {text}");
    }
    Ok(())
}

fn check_loaded(name: &str) -> Result<String> {
    let ended = lpwatch::run(&[&["check", name], SHORT])?;
    let text = ended.expect(&[code::DANGER])?.text();
    // The lines are broken anywhere.
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
