//! What is asked for and cannot be counted, or not yet, or not all of it; and
//! others who watch the same function.

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench;
use crate::calls::{Caller, Function, GCD, WATCH_BOTH, WORK};
use crate::foreign::{EmptyEntry, ProbeCounter};
use crate::guest::{self, Module};
use crate::lpwatch::{self, Daemon, PATIENT};
use crate::patch::Patch;
use crate::trial::Trial;

const PATCH: &str = "lp_calls";

const NO_SUCH: Function = Function {
    object: "vmlinux",
    name: "lpwatch_no_such_function",
};
/// The livepatch code's own, which no tracing may touch.
const NOT_TRACED: Function = Function {
    object: "vmlinux",
    name: "klp_ftrace_handler",
};
const LATE: Function = Function {
    object: "lpwatch_late",
    name: "lpwatch_late_value",
};

/// Reads of its file, each of which calls it once.
const READS: u64 = 25;

/// Names that are none, or no good, or of nothing yet.
pub fn names(trial: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    let twice = name_of_two()?;
    let asked = [
        NO_SUCH.name,
        NOT_TRACED.name,
        &twice,
        "lpwatch_late:lpwatch_late_value",
    ];
    let asked = asked.iter().flat_map(|name| ["--watch", name]);
    let arguments: Vec<&str> = PATIENT
        .iter()
        .chain(WATCH_BOTH)
        .copied()
        .chain(asked)
        .collect();
    let _daemon = Daemon::start(&arguments)?;
    GCD.wait_counted(None)?;

    let document = lpwatch::look(&[])?;
    for (object, name) in [
        (NO_SUCH.object, NO_SUCH.name),
        (NOT_TRACED.object, NOT_TRACED.name),
        ("vmlinux", &twice),
        (LATE.object, LATE.name),
    ] {
        let watched = document.watched(object, name)?;
        let why = watched.not_counted.as_deref().unwrap_or_default();
        ensure!(
            watched.calls.is_none() && !why.is_empty(),
            "no word why: {watched:?}"
        );
        trial.say(&format!("{name}: {why}"));
        let table = lpwatch::run(&[&["calls"]])?.text();
        ensure!(table.contains(name), "the table has no {name}: {table}");
    }

    let late = Module::load("lpwatch_late")?;
    LATE.wait_counted(None)?;
    for _ in 0..READS {
        fs::read("/proc/lpwatch_late")?;
    }
    LATE.expect_all(None, READS)?;
    late.unload()?;

    caller.now(10)?;
    for function in [GCD, WORK] {
        function.expect_all(None, caller.made)?;
    }
    caller.unload()
}

/// A name that two functions of the kernel have.
fn name_of_two() -> Result<String> {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in symbols.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [address, "t" | "T", name] = words[..] {
            of.entry(name).or_default().push(address);
        }
    }
    let found = of.into_iter().find(|(name, addresses)| {
        let plain = name.starts_with(|first: char| first.is_ascii_lowercase());
        plain && !name.contains('.') && matches!(addresses[..], [one, other] if one != other)
    });
    let (name, _) = found.context("this kernel has no name of two functions")?;
    Ok(name.to_owned())
}

/// Programs of others on the same function: everybody counts every call.
pub fn foreign(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let counter = ProbeCounter::place(GCD.name)?;
    // Before 6.0 an fentry program would keep the patch from being loaded.
    let shares = fs::read_to_string("/proc/kallsyms")?.contains("bpf_tramp_ftrace_ops_func");
    let _entry = shares.then(|| EmptyEntry::place(GCD.name)).transpose()?;
    let _daemon = Daemon::start(&[PATIENT, WATCH_BOTH].concat())?;
    GCD.wait_counted(None)?;
    let old = caller.now(100)?;
    let patch = Patch::load_completely(PATCH)?;
    GCD.wait_entered(PATCH)?;
    let later = ProbeCounter::place(GCD.name)?;
    let new = caller.now(200)?;
    let calls = GCD.expect_all(Some(PATCH), caller.made)?;
    ensure!((calls.old, calls.new) == (old, new), "{calls:?}");
    ensure!(calls.effective == Some(true), "{calls:?}");
    ensure!(
        (counter.called()?, later.called()?) == (old + new, new),
        "lpwatch keeps others from counting: {} and {}",
        counter.called()?,
        later.called()?
    );
    patch.remove()?;
    caller.unload()
}

/// How many functions are asked for, and how many there is room for.
const ASKED: usize = 2000;
const ROOM: usize = 1024;

/// An emulated kernel takes its time to place that many probes, and is not to
/// be asked all the time meanwhile.
const PLACED: Duration = Duration::from_mins(5);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// More functions than there is room for: some are counted, and of all others
/// it is told that they are not.
pub fn many(trial: &mut Trial) -> Result<()> {
    let functions = bench::rarely_called_probed(ASKED)?;
    let asked = functions.iter().flat_map(|name| ["--watch", name]);
    let arguments: Vec<&str> = PATIENT.iter().copied().chain(asked).collect();
    let daemon = Daemon::start(&arguments)?;
    trial.say("the daemon answers");
    let document = guest::wait_at_most(PLACED, "all are counted that can be", || {
        thread::sleep(LOOK_AGAIN);
        let document = lpwatch::poll()?;
        trial.say(&format!("{} told of", document.watched.len()));
        Ok((document.watched.len() == ASKED).then_some(document))
    })?;
    let (mut counted, mut no_room) = (0, 0);
    for watched in &document.watched {
        match &watched.not_counted {
            None => counted += 1,
            Some(why) if why.contains(&ROOM.to_string()) => no_room += 1,
            // Some allow no probe: there is room for another in their place.
            Some(why) => ensure!(why.contains("kprobe"), "{}: {why}", watched.name),
        }
    }
    trial.figure("no_room", no_room);
    trial.figure("counted", counted);
    ensure!(
        counted == ROOM && no_room > 0,
        "{counted} are counted, not {ROOM}"
    );
    let log = daemon.running.stderr()?;
    ensure!(log.contains(&ROOM.to_string()), "not in the log: {log}");
    // Taking all of them off takes the kernel longer than anything here.
    mem::forget(daemon);
    Ok(())
}
