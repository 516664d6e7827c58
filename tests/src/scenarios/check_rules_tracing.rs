//! `lpwatch check` and the tracing of others in real kernels: what keeps a patch
//! out, what makes it wait, and what sees nothing any more once it is in.

use std::fs;

use anyhow::{Result, ensure};
use nix::errno::Errno;

use crate::actor::Actor;
use crate::foreign::{
    EmptyEntry, FUNCTION, Holder, PROBE, PROGRAM, ProbeCounter, ReturnProbe, TraceProbe,
};
use crate::guest::{self, Module};
use crate::patch::Patch;
use crate::predictions::{Happened, Report, SHORT, check, put_to_the_test};
use crate::trial::Trial;

const BLOCKS: &str = "tracing_blocks";
const BLIND: &str = "tracing_blind";

const PATCH: &str = "lp_cmdline";
const PATCHED: &str = "cmdline_proc_show";
const SHOWS: &str = "/proc/cmdline";

/// In 5.10 a BPF program at the function's entry keeps the patch out; later it
/// does not.
pub fn entry(trial: &mut Trial) -> Result<()> {
    check(PATCH, SHORT)?.silent(BLOCKS)?;
    let program = EmptyEntry::place(PATCHED)?;
    let report = check(PATCH, SHORT)?;
    let own = format!("{})", std::process::id());
    if guest::kernel_series()? == "5.10" {
        let found = report.refusing(
            BLOCKS,
            Errno::EBUSY,
            &["fentry", EmptyEntry::NAME, PATCHED, &own],
        )?;
        trial.say(&found.text);
    } else {
        report.silent(BLOCKS)?;
    }
    trial.say(&put_to_the_test(PATCH, &report)?.words());
    drop(program);
    let free = check(PATCH, SHORT)?;
    free.silent(BLOCKS)?;
    put_to_the_test(PATCH, &free)?;
    Ok(())
}

/// Another user of the function tracer that may redirect calls: code of
/// its own, and a kprobe with a post handler.
pub fn held(trial: &mut Trial) -> Result<()> {
    const TOP: &str = "lp_calls_top";
    let holders = [
        ("lpwatch_ipmodify", c"", "lpwatch_ipmodify_handler"),
        ("lpwatch_redirect", c"post=1", "post handler"),
    ];
    for (module, parameters, named) in holders {
        let holder = Module::load_with(module, parameters)?;
        let report = check(TOP, SHORT)?;
        let words = [named, "gcd", "enabled_functions"];
        trial.say(&report.refusing(BLOCKS, Errno::EBUSY, &words)?.text);
        put_to_the_test(TOP, &report)?;
        holder.unload()?;
    }
    // A kprobe without one is in nobody's way; but it may redirect calls.
    let probe = Module::load("lpwatch_redirect")?;
    let report = check(TOP, SHORT)?;
    report.silent(BLOCKS)?;
    report.finding(BLIND, "note", &["gcd", "may redirect calls"])?;
    put_to_the_test(TOP, &report)?;
    probe.unload()?;
    let free = check(TOP, SHORT)?;
    free.silent(BLOCKS)?;
    free.silent(BLIND)?;
    put_to_the_test(TOP, &free)?;
    Ok(())
}

/// A foreign fexit program at the very function, below which tasks sleep.
pub fn fexit(trial: &mut Trial) -> Result<()> {
    const NAP: &str = "lp_nap";
    let holder = Holder::start()?;
    let napping = Actor::start(&["napping", "2"])?;
    napping.wait_in(FUNCTION)?;
    let report = check(NAP, SHORT)?;
    let owner = format!("{})", holder.actor.pid()?);
    let words = ["fexit", PROGRAM, FUNCTION, &owner];
    match guest::kernel_series()?.as_str() {
        "5.10" => {
            let found = report.refusing(BLOCKS, Errno::EBUSY, &words)?;
            trial.say(&found.text);
        }
        "6.1" | "6.12" => {
            let found = report.finding(BLOCKS, "warning", &words)?;
            trial.say(&found.text);
            waits_for(&report, &napping)?;
            report.finding("wont_switch", "danger", &words)?;
        }
        // The unwinder knows the program's frame: they are merely asleep.
        _ => {
            report.silent(BLOCKS)?;
            report.silent("wont_switch")?;
            waits_for(&report, &napping)?;
            report.finding("will_block", "warning", &[FUNCTION])?;
        }
    }
    trial.say(&put_to_the_test(NAP, &report)?.words());
    Ok(())
}

/// A return probe below which tasks sleep: it stalls in 5.10 alone.
pub fn kretprobe(trial: &mut Trial) -> Result<()> {
    let probe = ReturnProbe::place()?;
    let napping = Actor::start(&["napping", "2"])?;
    napping.wait_in(FUNCTION)?;
    let report = check("lp_nap", SHORT)?;
    let other = check(PATCH, SHORT)?;
    if guest::kernel_series()? == "5.10" {
        let words = ["retprobe", PROBE, FUNCTION];
        trial.say(&report.finding(BLOCKS, "warning", &words)?.text);
        waits_for(&other, &napping)?;
    } else {
        report.silent(BLOCKS)?;
        other.silent("wont_switch")?;
        ensure!(other.forecast.outcome == "completes", "{other:?}");
    }
    other.silent(BLOCKS)?;
    waits_for(&report, &napping)?;
    trial.say(&put_to_the_test(PATCH, &other)?.words());
    drop((napping, probe));
    let free = check("lp_nap", SHORT)?;
    free.silent(BLOCKS)?;
    free.silent("wont_switch")
}

/// Those that nap switch at the kernel's signal, and nobody else is in the way.
fn waits_for(report: &Report, napping: &Actor) -> Result<()> {
    let mut foretold: Vec<i32> = report.forecast.after_signal.iter().map(|t| t.tid).collect();
    let mut expected = napping.tids();
    foretold.sort_unstable();
    expected.sort_unstable();
    ensure!(
        report.forecast.outcome == "after_signal" && foretold == expected,
        "{expected:?} nap: {report:?}"
    );
    Ok(())
}

/// A probe in the body of a function is named, and does see nothing any more; one
/// at its entry goes on.
pub fn blind(trial: &mut Trial) -> Result<()> {
    let (named, offset) = TraceProbe::place_inside("lpwatch_inside", PATCHED)?;
    let report = check(PATCH, SHORT)?;
    let words = ["kprobes/lpwatch_inside", PATCHED, "sees no call"];
    trial.say(&report.finding(BLIND, "warning", &words)?.text);
    drop(named);

    let inside = ProbeCounter::place_at(PATCHED, offset)?;
    let report = check(PATCH, SHORT)?;
    let own = format!("{})", std::process::id());
    let words = [PATCHED, "sees no call", ProbeCounter::NAME, &own];
    trial.say(&format!("{:?}", report.finding(BLIND, "warning", &words)?));

    let entry = TraceProbe::place("p", "lpwatch_entry", PATCHED)?;
    let counting = ProbeCounter::place(PATCHED)?;
    let (before, after) = (3, 4);
    read(before)?;
    let patch = Patch::load_completely(PATCH)?;
    read(after)?;
    patch.remove()?;
    let counted = (inside.called()?, counting.called()?);
    ensure!(counted == (before, before + after), "counted: {counted:?}");
    drop((inside, counting));

    let report = check(PATCH, SHORT)?;
    report.silent(BLIND)?;
    let happened = put_to_the_test(PATCH, &report)?;
    ensure!(
        matches!(happened, Happened::Completed { .. }),
        "{happened:?}"
    );
    drop(entry);
    check(PATCH, SHORT)?.silent(BLIND)
}

fn read(times: u64) -> Result<()> {
    for _ in 0..times {
        fs::read(SHOWS)?;
    }
    Ok(())
}
