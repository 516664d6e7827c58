//! A callback of a patch takes long: no task is left, or none can switch yet, and no
//! task is to blame. It ends once.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, ensure};

use crate::contract::{Document, Transition};
use crate::guest::{self, module_file};
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, code};
use crate::patch;
use crate::predictions::{SHORT, check, row};
use crate::scrape::Scrape;
use crate::tasks::{self, Code};
use crate::trial::Trial;

const NAME: &str = "lp_callbacks";

/// Writing this lets the callback return.
const RELEASE: &str = "/sys/module/lp_callbacks/parameters/release";

/// With these thresholds the transition stalls while the callback runs.
const IMPATIENT: &[&str] = &["--slow-after", "2s", "--stall-after", "4s"];

/// One callback, as the kernel calls it.
struct Case {
    callback: &'static str,
    direction: &'static str,
    /// The tasks that are left meanwhile: all, or none.
    none_switched: bool,
    /// The kernel's function that calls it.
    caller: &'static str,
    /// Whether its stack has a frame of the patch.
    frameless: bool,
}

const CASES: [Case; 5] = [
    Case::of("pre_patch", "patching", true, "klp_enable_patch"),
    Case::of("post_patch", "patching", false, "klp_complete_transition"),
    Case::of("pre_unpatch", "unpatching", true, "enabled_store"),
    Case::of(
        "post_unpatch",
        "unpatching",
        false,
        "klp_complete_transition",
    ),
    Case {
        frameless: true,
        ..Case::of("post_patch", "patching", false, "klp_complete_transition")
    },
];

impl Case {
    const fn of(
        callback: &'static str,
        direction: &'static str,
        none_switched: bool,
        caller: &'static str,
    ) -> Self {
        Self {
            callback,
            direction,
            none_switched,
            caller,
            frameless: false,
        }
    }
}

pub fn run(trial: &mut Trial) -> Result<()> {
    let foretold = check(NAME, SHORT)?;
    ensure!(foretold.forecast.outcome == "completes", "{foretold:?}");
    let daemon = Daemon::start(IMPATIENT)?;
    for case in &CASES {
        let said = format!("{}, frameless: {}", case.callback, case.frameless);
        trial.say(&said);
        one(trial, &daemon, case).context(said)?;
        if case.direction == "patching" && !case.frameless {
            let callback = case.callback;
            row(
                trial,
                &format!("lp_callbacks (slow {callback})"),
                &foretold.words(),
                &format!("waited for {callback}, then completed"),
                "no: how long a callback takes, only running it shows",
            )?;
        }
    }
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn one(trial: &mut Trial, daemon: &Daemon, case: &Case) -> Result<()> {
    let before = Scrape::now()?.ended("lpwatch_transitions_total");
    let told = Journal::begin()?;
    let unpatching = case.direction == "unpatching";
    let slow = format!("{}=1 frameless={}", case.callback, u8::from(case.frameless));
    let mut starter = if unpatching {
        guest::load_with(NAME, &CString::new(slow)?)?;
        guest::wait_until("it is applied", || {
            Ok(patch::transition(NAME)? == Some(false))
        })?;
        daemon.wait_outcome(NAME, "patching", "completed")?;
        Starter::of(|| fs::write(enabled(), "0"))
    } else {
        Starter::of(move || {
            let parameters = CString::new(slow)?;
            guest::load_file(&module_file(NAME), &parameters).map_err(io::Error::other)
        })
    };
    let runner = guest::wait_for("the callback runs", || Ok(in_callback(case)))?;
    // The kernel's own state, now and after the looks.
    let kernel = |at: &str| -> Result<()> {
        ensure!(
            patch::transition(NAME)? == Some(true),
            "{at}: sysfs: no transition"
        );
        ensure!(
            in_callback(case) == Some(runner),
            "{at}: the callback has returned"
        );
        let (old, new) = (tasks::running(Code::Old), tasks::running(Code::New));
        let (source, target) = if unpatching { (new, old) } else { (old, new) };
        ensure!(
            target.is_empty() && source.is_empty() != case.none_switched,
            "{at}: {} before, {} after",
            source.len(),
            target.len()
        );
        Ok(())
    };
    kernel("before")?;
    guest::wait_until("the transition is stalled", || {
        let document = lpwatch::poll()?;
        let transition = document.transition(NAME)?;
        Ok(transition.phase()? == "stalled" && transition.waits_for.is_some())
    })?;
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::look(&[how])?;
        agrees(&document, case, runner).with_context(|| format!("{how:?}"))?;
    }
    texts(trial, case, runner)?;
    kernel("after")?;
    let scrape = Scrape::now()?;
    let ended = scrape.ended("lpwatch_transitions_total") - before;
    let expected = if unpatching { 1.0 } else { 0.0 };
    ensure!(
        (ended - expected).abs() < f64::EPSILON,
        "{ended} ended while the callback runs"
    );
    scrape.expect(
        &format!("lpwatch_transition_waits{{patch=\"{NAME}\",reason=\"callback\"}}"),
        1.0,
    )?;

    let mark = Mark::now()?;
    fs::write(RELEASE, "1")?;
    starter.join()?;
    mark.says_complete(case.direction)?;
    let document = daemon.wait_outcome(NAME, case.direction, "completed")?;
    let ended = Scrape::now()?.ended("lpwatch_transitions_total") - before;
    let expected = if unpatching { 2.0 } else { 1.0 };
    ensure!(
        (ended - expected).abs() < f64::EPSILON,
        "{ended} ended, not {expected}: {document:?}"
    );
    told.expect(NAME, &["callback_begun", "callback_ended"])?;
    let log = daemon.running.stderr()?;
    ensure!(
        log.contains("waits, but not for a task") && log.contains(case.callback),
        "the daemon's log: {log}"
    );
    if !unpatching {
        fs::write(enabled(), "0")?;
        daemon.wait_outcome(NAME, "unpatching", "completed")?;
    }
    guest::wait_until("it is gone", || Ok(patch::transition(NAME)?.is_none()))?;
    guest::unload(NAME)
}

/// A place in the kernel log.
struct Mark(usize);

impl Mark {
    fn now() -> Result<Self> {
        Ok(Self(Self::ends()?.len()))
    }

    /// The ends of transitions that the kernel has logged.
    fn ends() -> Result<Vec<String>> {
        let output = Command::new("dmesg").output().context("dmesg")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_end = |line: &&str| line.contains(NAME) && line.ends_with("patching complete");
        Ok(text.lines().filter(is_end).map(str::to_owned).collect())
    }

    /// The kernel has logged one end since, in this direction.
    fn says_complete(&self, direction: &str) -> Result<()> {
        // Loading the patch returns before the transition has ended.
        let logged = || Ok(Self::ends()?.len() > self.0);
        guest::wait_until("the kernel logs the end", logged)?;
        let ends = Self::ends()?;
        let new = ends.get(self.0..).unwrap_or_default();
        ensure!(
            matches!(new, [end] if end.ends_with(&format!(": {direction} complete"))),
            "the kernel's log: {new:?}"
        );
        Ok(())
    }
}

/// What lpwatch must say of it.
fn agrees(document: &Document, case: &Case, runner: i32) -> Result<()> {
    let transition: &Transition = document.transition(NAME)?;
    let wait = transition.waits_for.as_ref().context("waits for nothing")?;
    ensure!(
        wait.reason == "callback"
            && wait.callback.as_deref() == Some(case.callback)
            && wait.tid == Some(runner)
            && wait.holder.is_none(),
        "{wait:?}"
    );
    let function = format!("lp_callbacks_{}", case.callback);
    let named = (!case.frameless).then_some(function.as_str());
    ensure!(wait.function.as_deref() == named, "{wait:?}");
    ensure!(transition.direction == case.direction, "{transition:?}");
    ensure!(transition.blockers.is_empty(), "{transition:?}");
    let left = transition.tasks_remaining.context("no number")?;
    ensure!((left > 0) == case.none_switched, "{left} left");
    Ok(())
}

/// The commands say the same, and give no advice that does not help.
fn texts(trial: &mut Trial, case: &Case, runner: i32) -> Result<()> {
    let stalled = [code::IN_TRANSITION, code::STALLED];
    let tid = runner.to_string();
    for command in [
        &["status"][..],
        &["tasks"],
        &["explain", &tid],
        &["status", "--no-daemon"],
    ] {
        let ended = lpwatch::run(&[command])?;
        let text = ended.expect(&stalled)?.text();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let state = if case.none_switched {
            "No task can switch yet."
        } else {
            "Every task has switched."
        };
        ensure!(
            flat.contains(&format!("The {} callback of", case.callback)) && flat.contains(state),
            "{command:?}: {text}"
        );
        for wrong in ["swapper", "idle CPU", "echo 0", "echo 1", "Wait:"] {
            ensure!(!flat.contains(wrong), "{command:?}: {wrong}: {text}");
        }
        if command == ["status"] {
            trial.say(&text);
        }
    }
    Ok(())
}

/// What starts the transition, in a thread, because it returns after the callback.
struct Starter(Option<JoinHandle<io::Result<()>>>);

impl Starter {
    fn of(start: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Self(Some(thread::spawn(start)))
    }

    fn join(&mut self) -> Result<()> {
        let thread = self.0.take().context("joined before")?;
        let result = thread.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
        result.context("starting the transition")
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        // After a failure the patch must not be left in the making.
        if let Some(thread) = self.0.take() {
            drop(fs::write(RELEASE, "1"));
            drop(thread.join());
        }
    }
}

fn enabled() -> String {
    format!("/sys/kernel/livepatch/{NAME}/enabled")
}

/// The thread in the callback, as the kernel shows its stack.
fn in_callback(case: &Case) -> Option<i32> {
    let mut tids = guest::names_in(Path::new("/proc"));
    let own = guest::names_in(Path::new("/proc/self/task"));
    tids.extend(own);
    let function = format!("lp_callbacks_{}", case.callback);
    let tids = tids.iter().filter_map(|tid| tid.parse::<i32>().ok());
    let mut running = tids.filter(|tid| {
        let stack = fs::read_to_string(format!("/proc/{tid}/stack")).unwrap_or_default();
        // The kernel leaves its scheduler's functions out.
        let seen = if case.frameless {
            "flush_work"
        } else {
            &function
        };
        stack.contains(seen) && stack.contains(case.caller)
    });
    running.next()
}
