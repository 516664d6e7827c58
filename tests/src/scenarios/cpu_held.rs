//! A real-time task keeps a CPU for itself: every task has switched, and the kernel's
//! own work on that CPU does not run.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};

use crate::actor::{self, Actor};
use crate::guest::{self, module_file};
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE_NO_BPF, Daemon, code};
use crate::patch;
use crate::predictions::{SHORT, check, row};
use crate::scrape::Scrape;
use crate::tasks::{self, Code};
use crate::trial::Trial;

const NAME: &str = "lp_cmdline";

/// How soon the daemon must answer; a guest is slow.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

const IMPATIENT: &[&str] = &["--slow-after", "4s", "--stall-after", "8s"];

pub fn run(trial: &mut Trial) -> Result<()> {
    // Nothing else may need the other processor.
    actor::stay_on(0)?;
    let unlimited = Unlimited::set()?;
    let daemon = Daemon::start(IMPATIENT)?;
    let before = Scrape::now()?.ended("lpwatch_transitions_total");
    let told = Journal::begin()?;
    check(NAME, SHORT)?.silent("cpu_held")?;
    let hog = Actor::start(&["holding"])?;
    let pid = hog.pid()?;
    let report = check(NAME, SHORT)?;
    let command = format!("chrt -o -p 0 {pid}");
    let text = &report
        .finding(
            "cpu_held",
            "warning",
            &["CPU 1", "SCHED_FIFO", &pid.to_string()],
        )?
        .text;
    trial.say(text);

    let loading =
        thread::spawn(|| guest::load_file(&module_file(NAME), c"").map_err(io::Error::other));
    let held = held(trial, pid, &command);
    // What was advised; after a failure, too: the patch must not be left in the making.
    let freed = actor::schedule(pid, nix::libc::SCHED_OTHER, 0);
    let joined = loading.join();
    held?;
    freed?;
    joined.map_err(|_| anyhow::anyhow!("it panicked"))??;
    daemon.wait_outcome(NAME, "patching", "completed")?;
    told.expect(NAME, &["wait_begun", "wait_ended"])?;
    row(
        trial,
        "lp_cmdline (a real-time task keeps a CPU)",
        &format!("{}, with a warning that the CPU is held", report.words()),
        "no task left, and no end until the CPU was free",
        "yes",
    )?;
    let ended = Scrape::now()?.ended("lpwatch_transitions_total") - before;
    ensure!((ended - 1.0).abs() < f64::EPSILON, "{ended} ended, not 1");
    drop(hog);
    drop(unlimited);
    daemon.terminate()?.expect(&[code::WELL])?;
    fs::write(format!("/sys/kernel/livepatch/{NAME}/enabled"), "0")?;
    guest::wait_until("it is gone", || Ok(patch::transition(NAME)?.is_none()))?;
    guest::unload(NAME)
}

/// While the transition waits.
fn held(trial: &mut Trial, hog: i32, command: &str) -> Result<()> {
    guest::wait_until("the transition begins", || {
        Ok(patch::transition(NAME)? == Some(true))
    })?;
    guest::wait_until("no task is left, and the kernel waits", || {
        ensure!(
            patch::transition(NAME)? == Some(true),
            "the CPU is not held"
        );
        Ok(tasks::running(Code::Old).is_empty() && !tasks::running(Code::New).is_empty())
    })?;
    guest::wait_until("the daemon reports the CPU", || {
        let asked = Instant::now();
        let document = lpwatch::poll()?;
        ensure!(
            asked.elapsed() < ANSWERS_WITHIN,
            "{:?} for an answer",
            asked.elapsed()
        );
        let transition = document.transition(NAME)?;
        let wait = transition.waits_for.as_ref();
        // Enabling needed that CPU as well, before the kernel's first try.
        let has_tried = transition.tries.is_some_and(|tries| tries > 0);
        Ok(has_tried && wait.is_some_and(|wait| wait.reason == "cpu_held"))
    })?;
    for how in [&[][..], ALONE_NO_BPF] {
        let document = lpwatch::look(&[how])?;
        let transition = document.transition(NAME)?;
        ensure!(transition.blockers.is_empty(), "{how:?}: {transition:?}");
        ensure!(
            transition.tasks_remaining == Some(0),
            "{how:?}: {transition:?}"
        );
        let wait = transition.waits_for.as_ref();
        let wait = wait.with_context(|| format!("{how:?}: waits for nothing: {transition:?}"))?;
        let holder = wait.holder.as_ref().context("no holder")?;
        ensure!(
            wait.reason == "cpu_held" && wait.callback.is_none(),
            "{how:?}: {wait:?}"
        );
        ensure!(
            (
                holder.cpu,
                holder.tid,
                holder.policy.as_str(),
                holder.priority
            ) == (1, hog, "fifo", Some(90)),
            "{how:?}: {holder:?}"
        );
    }
    let tid = hog.to_string();
    for words in [&["status"][..], &["tasks"], &["explain", &tid]] {
        let ended = lpwatch::run(&[words])?;
        let text = ended.expect(&[code::IN_TRANSITION, code::STALLED])?.text();
        if !text.lines().any(|line| line.trim() == command) {
            bail!("{words:?}: no line {command}: {text}");
        }
        for wrong in ["swapper", "idle CPU", "echo 0", "Wait:"] {
            ensure!(!text.contains(wrong), "{words:?}: {wrong}: {text}");
        }
        if words == ["status"] {
            trial.say(&text);
        }
    }
    let seconds = lpwatch::poll()?
        .transition(NAME)?
        .waits_for
        .as_ref()
        .and_then(|wait| wait.since_seconds);
    trial.figure(
        "held_for_seconds",
        seconds.context("since when is unknown")?,
    );
    Ok(())
}

/// No limit for real-time tasks, as long as this lives.
struct Unlimited {
    before: Vec<(String, String)>,
}

impl Unlimited {
    fn set() -> Result<Self> {
        let mut limits = Self { before: Vec::new() };
        limits.write("/proc/sys/kernel/sched_rt_runtime_us", "-1")?;
        // Kernels from 6.12 on serve ordinary tasks besides.
        let servers = "/sys/kernel/debug/sched/fair_server";
        let none: Option<&str> = None;
        // It may be mounted already.
        let _ = mount(
            Some("none"),
            "/sys/kernel/debug",
            Some("debugfs"),
            MsFlags::empty(),
            none,
        );
        let server = format!("{servers}/cpu1/runtime");
        if fs::exists(&server)? {
            limits.write(&server, "0")?;
        }
        Ok(limits)
    }

    fn write(&mut self, path: &str, value: &str) -> Result<()> {
        let before = fs::read_to_string(path).with_context(|| path.to_owned())?;
        fs::write(path, value).with_context(|| format!("writing {value} to {path}"))?;
        self.before
            .push((path.to_owned(), before.trim().to_owned()));
        Ok(())
    }
}

impl Drop for Unlimited {
    fn drop(&mut self) {
        for (path, value) in &self.before {
            if let Err(error) = fs::write(path, value) {
                eprintln!("    left behind: {path}: {error}");
            }
        }
    }
}
