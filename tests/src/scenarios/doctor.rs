//! `lpwatch doctor`: what it says of a kernel is held against what this kernel
//! is known to be, its counters against calls that are known, and it leaves
//! nothing behind.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::bench::kernel_objects;
use crate::diagnosis::{Diagnosis, doctor};
use crate::guest::{self, Module};
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, Running, code};
use crate::patch::Patch;
use crate::restricted;
use crate::tasks::Code;
use crate::trial::Trial;

const DANGER: i32 = 13;
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";

/// Every fact that has a hook of its own.
const HOOKED: [&str; 12] = [
    "enable",
    "begun",
    "try",
    "complete",
    "reversed",
    "forced",
    "cancelled",
    "switched",
    "refused",
    "module_loaded",
    "module_freed",
    "stops",
];

pub fn run(trial: &mut Trial) -> Result<()> {
    trial.say("what this kernel offers");
    let before = kernel_objects::all();
    let diagnosis = doctor(&[ALONE], code::WELL)?;
    nothing_left(&before)?;
    offers(&diagnosis)?;
    facts(&diagnosis)?;
    let seconds = diagnosis.attach_seconds.context("nothing was attached")?;
    trial.figure("attach_ms", (seconds * 1000.0).round());

    trial.say("calibration");
    calibration(trial)?;
    nothing_left(&before)?;

    trial.say("with less");
    no_bpf()?;
    no_root()?;
    trial.say("in a transition");
    in_transition()?;
    trial.say("with a daemon");
    with_daemon()?;
    trial.say("with ftrace switched off");
    ftrace_off()?;
    nothing_left(&before)
}

fn series_is(wanted: &str) -> Result<bool> {
    Ok(guest::kernel_series()? == wanted)
}

/// The kernel frees BPF objects a little later than they are let go.
fn nothing_left(before: &std::collections::BTreeSet<kernel_objects::Object>) -> Result<()> {
    let mut left = Vec::new();
    guest::wait_until("every BPF object is gone", || {
        left = kernel_objects::all().difference(before).cloned().collect();
        Ok(left.is_empty())
    })
    .with_context(|| format!("left behind: {left:?}"))
}

fn offers(diagnosis: &Diagnosis) -> Result<()> {
    let available = |yes: bool| if yes { "available" } else { "missing" };
    let old = series_is("5.10")?;
    diagnosis.offers("ipmodify_sharing", available(!old))?;
    diagnosis.offers("bpf_frames", available(series_is("7")?))?;
    diagnosis.offers("livepatch_functions", available(!old))?;
    for id in [
        "livepatch",
        "ftrace",
        "reliable_stacks",
        "bpf_programs",
        "btf",
        "kprobes",
        "bpf_memory",
        "capabilities",
        "symbol_addresses",
        "kernel_log",
        "patch_state",
    ] {
        diagnosis.offers(id, "available")?;
    }
    Ok(())
}

fn facts(diagnosis: &Diagnosis) -> Result<()> {
    ensure!(diagnosis.chosen_by == "attaching", "{diagnosis:?}");
    for name in HOOKED {
        let fact = diagnosis.knows(name, &["fentry", "kprobe", "raw_tracepoint"])?;
        ensure!(fact.works == Some(true) && !fact.fallen_back, "{fact:?}");
        ensure!(!fact.why.is_empty() && !fact.what.is_empty(), "{fact:?}");
    }
    diagnosis.knows("patches", &["sysfs"])?;
    diagnosis.knows("log", &["kmsg"])?;
    diagnosis.knows("tasks", &["iter"])?;
    diagnosis.knows("programs", &["iter"])?;
    diagnosis.knows("effect", &["kprobe"])?;
    let (calls, verdict) = if series_is("5.10")? {
        ("kprobe", "none")
    } else {
        ("fentry", "kretprobe")
    };
    diagnosis.knows("calls", &[calls])?;
    let fact = diagnosis.knows("verdict", &[verdict])?;
    if verdict == "none" {
        ensure!(fact.why.contains("5.16"), "no reason: {fact:?}");
        ensure!(fact.fallback.is_some(), "no fallback: {fact:?}");
    }
    Ok(())
}

fn calibration(trial: &mut Trial) -> Result<()> {
    let diagnosis = doctor(&[ALONE, &["--calibrate"]], code::WELL)?;
    let calibration = diagnosis.calibration.as_ref().context("no calibration")?;
    ensure!(calibration.not_tried.is_none(), "{calibration:?}");
    ensure!(calibration.left_behind == Some(0), "{calibration:?}");
    for kind in ["kprobe", "fentry"] {
        let mut trials = calibration.trials.iter();
        let tried = trials.find(|tried| tried.kind == kind);
        let tried = tried.with_context(|| format!("{kind} was not tried: {calibration:?}"))?;
        if kind == "fentry" && series_is("5.10")? {
            ensure!(tried.outcome == "not_tried", "{tried:?}");
            ensure!(tried.why.is_some(), "without a reason: {tried:?}");
            continue;
        }
        // Nothing else in this guest calls getppid(2) all the time.
        ensure!(tried.outcome == "exactly", "{tried:?}");
        ensure!(tried.counted == Some(tried.calls), "{tried:?}");
        let (plain, counted) = tried.plain_ns.zip(tried.counted_ns).context("no times")?;
        trial.figure(
            &format!("{kind}_times_as_long"),
            format!("{:.1}", counted / plain),
        );
    }
    let calls = diagnosis.fact("calls")?;
    ensure!(calls.works == Some(true), "{calls:?}");
    Ok(())
}

fn no_bpf() -> Result<()> {
    let diagnosis = doctor(&[ALONE_NO_BPF, &["--calibrate"]], code::WELL)?;
    ensure!(diagnosis.chosen_by == "policy", "{diagnosis:?}");
    ensure!(diagnosis.attach_seconds.is_none(), "{diagnosis:?}");
    diagnosis.knows("begun", &["kmsg"])?;
    diagnosis.knows("tasks", &["procfs"])?;
    for lost in ["calls", "effect"] {
        let fact = diagnosis.knows(lost, &["none"])?;
        ensure!(fact.why.contains("--no-bpf"), "{fact:?}");
    }
    not_calibrated(&diagnosis, "--no-bpf")
}

/// An ordinary user gets a report, with what is missing and why.
fn no_root() -> Result<()> {
    let prefix = restricted::prefix(&["--uid", "65534"])?;
    let arguments = [&["doctor", "-o", "json", "--calibrate"][..], ALONE].concat();
    let ended = Running::start(prefix, &arguments)?.end()?;
    let diagnosis = Diagnosis::of(ended.expect(&[code::NO_PERMISSION])?)?;
    for id in ["capabilities", "patch_state"] {
        diagnosis.offers(id, "missing")?;
    }
    let remedy = diagnosis.offer("capabilities")?.remedy.as_deref();
    ensure!(
        remedy.is_some_and(|remedy| remedy.contains("CAP_BPF")),
        "{diagnosis:?}"
    );
    diagnosis.knows("patches", &["sysfs"])?;
    diagnosis.knows("calls", &["none"])?;
    not_calibrated(&diagnosis, "permission")?;

    let prefix = restricted::prefix(&["--uid", "65534"])?;
    let ended = Running::start(prefix, &[&["doctor"], ALONE].concat())?.end()?;
    let text = ended.expect(&[code::NO_PERMISSION])?.text();
    ensure!(text.contains("root"), "does not say what to do: {text}");
    Ok(())
}

/// Rule one: nothing is attached while the kernel has its hands full.
fn in_transition() -> Result<()> {
    let _target = Module::load("lpwatch_target")?;
    let patch = Patch::load("lp_stall")?;
    patch.wait_left(Code::Old, 1)?;
    let diagnosis = doctor(&[ALONE, &["--calibrate"]], code::WELL)?;
    ensure!(diagnosis.chosen_by == "policy", "{diagnosis:?}");
    ensure!(diagnosis.attach_seconds.is_none(), "{diagnosis:?}");
    let notes = diagnosis.notes.join(" ");
    ensure!(notes.contains("lp_stall is in transition"), "{notes}");
    diagnosis.knows("begun", &["fentry", "kprobe"])?;
    not_calibrated(&diagnosis, "in transition")?;
    patch.remove()
}

fn not_calibrated(diagnosis: &Diagnosis, why: &str) -> Result<()> {
    let calibration = diagnosis.calibration.as_ref().context("no calibration")?;
    ensure!(
        calibration.trials.is_empty(),
        "it was tried: {calibration:?}"
    );
    let told = calibration.not_tried.as_deref().unwrap_or_default();
    ensure!(told.contains(why), "does not say {why}: {calibration:?}");
    Ok(())
}

fn with_daemon() -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let diagnosis = doctor(&[], code::WELL)?;
    ensure!(diagnosis.chosen_by == "daemon", "{diagnosis:?}");
    ensure!(diagnosis.attach_seconds.is_none(), "{diagnosis:?}");
    for name in HOOKED {
        let fact = diagnosis.fact(name)?;
        ensure!(fact.works == Some(true), "{fact:?}");
    }
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Switches ftrace on again when it goes.
struct FtraceOff;

impl FtraceOff {
    fn new() -> Result<Self> {
        fs::write(FTRACE, "0").context("switching ftrace off")?;
        Ok(Self)
    }
}

impl Drop for FtraceOff {
    fn drop(&mut self) {
        if let Err(error) = fs::write(FTRACE, "1") {
            eprintln!("    ftrace stays off: {error}");
        }
    }
}

fn ftrace_off() -> Result<()> {
    let off = FtraceOff::new()?;
    let diagnosis = doctor(&[ALONE, &["--calibrate"]], DANGER)?;
    ensure!(diagnosis.verdict == "danger", "{diagnosis:?}");
    diagnosis.offers("ftrace", "missing")?;
    ensure!(diagnosis.chosen_by == "policy", "{diagnosis:?}");
    not_calibrated(&diagnosis, "switched off")?;
    let text = lpwatch::run(&[&["doctor"], ALONE])?
        .expect(&[DANGER])?
        .text();
    ensure!(text.starts_with("DANGER"), "not said first: {text}");
    drop(off);
    let text = lpwatch::run(&[&["doctor"], ALONE])?
        .expect(&[code::WELL])?
        .text();
    ensure!(
        !text.contains("DANGER"),
        "said of a host that is well: {text}"
    );
    Ok(())
}
