//! Why a task is left: it does not leave the kernel, whatever it is sent.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::actor::Actor;
use crate::guest::Module;
use crate::lpwatch::{Daemon, PATIENT};
use crate::oracle::Oracle;
use crate::patch::Patch;
use crate::predictions::{SHORT, agreeing_row, check, put_to_the_test};
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

/// A kernel thread that is on its CPU nearly always: the kernel cannot look
/// at its stack, and says so.
pub fn busy(trial: &mut Trial) -> Result<()> {
    let _first = FirstCpu::only()?;
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    // The kernel works off its tries where it is busy already: keep that from
    // being the thread's CPU, or it would never find the thread running.
    let _first_cpu = Actor::start(&["computing"])?;
    let _busy = Module::load("lpwatch_busy")?;
    let patch = Patch::load("lp_busy")?;
    let left = patch.wait_left(Code::Old, 1)?;
    let mut comparison = Comparison::of(&patch.name, Code::Old);
    for how in ALL_WAYS {
        // One at a time: the shorter, the likelier that it runs all along.
        for look in comparison.run(&mut oracle, &[how], &left)? {
            let tid = left.first().context("nobody is left")?;
            let blocker = look.of(*tid)?;
            ensure!(
                blocker.comm == "lpwatch_busy" && blocker.kthread,
                "{blocker:?}"
            );
            let reason = blocker.reason.as_deref().unwrap_or("none");
            trial.say(&format!("[{}] {reason}", look.how));
        }
    }
    comparison.conclude(trial)
}

/// A kernel thread that is busy outside of the patch, and gives its CPU away when it is
/// asked to: it switches when the kernel finds it off its CPU, or by itself in
/// `cond_resched()` (6.12).
pub fn busy_elsewhere(trial: &mut Trial) -> Result<()> {
    let _first = FirstCpu::only()?;
    let _first_cpu = Actor::start(&["computing"])?;
    // Removing a patch waits for it (RCU tasks): no longer than needed.
    let _busy = Module::load_with("lpwatch_busy", c"yields=1 seconds=30")?;
    let report = check("lp_cmdline", SHORT)?;
    trial.say(&report.forecast.text);
    ensure!(
        ["open", "completes"].contains(&report.forecast.outcome.as_str()),
        "{report:?}"
    );
    let happened = put_to_the_test("lp_cmdline", &report)?;
    let case = "lp_cmdline (lpwatch_busy, busy elsewhere)";
    agreeing_row(trial, case, &report, &happened)
}

/// The main functions of the kernel's own threads, which no module started and nobody
/// can stop.
pub fn own_threads(trial: &mut Trial) -> Result<()> {
    let report = check("lp_kthreads", SHORT)?;
    trial.say(&report.forecast.text);
    report.finding("will_block", "danger", &["kauditd"])?;
    ensure!(report.forecast.outcome == "stalls", "{report:?}");
    let happened = put_to_the_test("lp_kthreads", &report)?;
    agreeing_row(
        trial,
        "lp_kthreads (kauditd, khugepaged)",
        &report,
        &happened,
    )
}

/// Keeps this process, and all that it starts, on the first processor: what
/// runs beside the busy thread would only ever see it at rest. The kernel, too,
/// goes on with its tries on the processor where they began.
struct FirstCpu {
    before: CpuSet,
}

impl FirstCpu {
    fn only() -> Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &first)?;
        Ok(Self { before })
    }
}

impl Drop for FirstCpu {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(Pid::from_raw(0), &self.before) {
            eprintln!("    left behind: one processor only: {error}");
        }
    }
}

const HOLD: &str = "/sys/module/lpwatch_hold/parameters/released";

/// Lets the tasks go that `lpwatch_hold` keeps asleep, however a scenario ends.
struct Release;

impl Release {
    fn now() -> Result<()> {
        fs::write(HOLD, "1").context("letting the tasks go")
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if let Err(error) = Self::now() {
            eprintln!("    left behind: {error:#}");
        }
    }
}

/// A user task in an uninterruptible sleep: no signal moves it.
pub fn uninterruptible(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let _hold = Module::load("lpwatch_hold")?;
    let reader = Actor::start(&["reading", "/proc/lpwatch_hold"])?;
    let release = Release;
    reader.wait_in("lpwatch_hold_wait")?;
    let tids = BTreeSet::from([reader.pid()?]);
    let patch = Patch::load("lp_hold")?;
    ensure!(patch.wait_left(Code::Old, 1)? == tids, "others are left");
    reader.signal(Signal::SIGUSR1)?;

    let mut comparison = Comparison::of(&patch.name, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "uninterruptible", "lpwatch_hold_wait")?;
    for look in &looks {
        let blocker = look.of(reader.pid()?)?;
        ensure!(
            blocker.state == Some('D') && !blocker.kthread,
            "{blocker:?}"
        );
    }
    comparison.conclude(trial)?;
    drop(release);
    patch.wait_complete()?;
    patch.remove()
}
