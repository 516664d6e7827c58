//! Patches that complete at once, seen by a daemon.

use anyhow::{Context, Result, ensure};

use crate::contract::Document;
use crate::guest::Module;
use crate::lpwatch::{self, Daemon, code};
use crate::patch::{self, Patch};
use crate::trial::Trial;

/// In and out again; both are recorded, and how soon is measured.
pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let patch = Patch::load("lp_cmdline")?;
    let document = daemon.wait_outcome("lp_cmdline", "patching", "completed")?;
    let past = document.last("lp_cmdline").context("no last transition")?;
    if let Some(after) = past.recorded_after_ms {
        trial.figure("patching_recorded_after_ms", format!("{after:.2}"));
    }

    let document = lpwatch::status(&[&["lp_cmdline"]], &[code::WELL])?;
    ensure!(document.daemon, "the daemon was not asked");
    let shown = document.patch("lp_cmdline")?;
    ensure!(shown.enabled == Some(true), "not enabled: {shown:?}");
    ensure!(shown.transition.is_none(), "still in transition: {shown:?}");
    ensure!(shown.engine == "livepatch", "engine {}", shown.engine);
    let function = &shown.object("vmlinux")?.functions;
    ensure!(
        function.len() == 1 && function[0].name == "cmdline_proc_show" && function[0].sympos == 1,
        "functions {function:?}"
    );
    ensure!(
        document.schema_version == 2 && !document.host.is_empty() && in_milliseconds(&document),
        "{document:?}"
    );
    for probe in &document.probes {
        let explained = probe.attached || probe.note.is_some();
        ensure!(explained, "not attached, and no word why: {probe:?}");
        ensure!(
            !probe.fact.is_empty() && !probe.kind.is_empty(),
            "{probe:?}"
        );
        ensure!(probe.target.as_deref() != Some(""), "{probe:?}");
    }
    ensure!(
        document.probes.iter().any(|probe| probe.attached),
        "no probe is attached"
    );
    ensure!(
        document.kernel.starts_with(char::is_numeric),
        "kernel {}",
        document.kernel
    );

    patch.remove()?;
    let document = daemon.wait_outcome("lp_cmdline", "unpatching", "completed")?;
    ensure!(
        document.find("lp_cmdline").is_none(),
        "still listed: {document:?}"
    );
    let past = document.last("lp_cmdline").context("no last transition")?;
    if let Some(after) = past.recorded_after_ms {
        trial.figure("unpatching_recorded_after_ms", format!("{after:.2}"));
    }
    Ok(())
}

/// Two patches at once, one of them asked for by name, and a name that no
/// patch has.
pub fn two_patches(_: &mut Trial) -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    let _first = Patch::load_completely("lp_cmdline")?;
    let _second = Patch::load_completely("lp_value")?;

    for how in [lpwatch::ALONE, lpwatch::ALONE_NO_BPF] {
        let both = lpwatch::status(&[how], &[code::WELL])?;
        ensure!(both.patches.len() == 2, "not two patches: {both:?}");
        let one = lpwatch::status(&[&["lp_value"], how], &[code::WELL])?;
        ensure!(one.patches.len() == 1, "not one patch: {one:?}");
        let second = one.patch("lp_value")?;
        second.object("lpwatch_target")?;
        let order = patch::stack_order("lp_value");
        ensure!(
            second.stack_order == order,
            "{second:?}, sysfs says {order:?}"
        );

        let none = lpwatch::run(&[&["status", "no_such_patch"], how])?;
        none.expect(&[code::ERROR])?;
        ensure!(
            none.stderr.contains("no_such_patch"),
            "said: {}",
            none.stderr
        );
    }
    Ok(())
}

/// Whether the time of the document is written with milliseconds.
fn in_milliseconds(document: &Document) -> bool {
    let digits = document
        .taken_at
        .strip_suffix('Z')
        .and_then(|time| time.split_once('.'));
    digits.is_some_and(|(_, digits)| digits.len() == 3)
}
