//! Lines of livepatch and of other systems that a process writes to `/dev/kmsg`,
//! before, in and after a stalled transition: lpwatch says the same as without.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use nix::fcntl::OFlag;
use serde_json::Value;

use crate::guest::Module;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, PATIENT, Running, code};
use crate::patch::{self, Patch};
use crate::scrape::Scrape;
use crate::tasks::Code;
use crate::trial::Trial;

const KMSG: &str = "/dev/kmsg";

/// All that lpwatch would believe of the kernel.
const FORGED: &[&str] = &[
    "livepatch: 'lp_stall': unpatching complete",
    "livepatch: 'lp_stall': patching complete",
    "livepatch: enabling patch 'lp_stall'",
    "livepatch: 'lp_stall': starting unpatching transition",
    "livepatch: 'lp_stall': patching complete",
    "livepatch: enabling patch 'lp_ghost'",
    "livepatch: 'lp_ghost': starting patching transition",
    "livepatch: signaling remaining tasks",
    "livepatch: forcing remaining tasks to the patched state",
    "livepatch: 'lp_ghost': patching complete",
    "livepatch: failed to enable patch 'lp_ghost'",
    "livepatch: symbol 'lp_ghost' not found in symbol table",
    "kpatch: activeness safety check failed for lp_ghost",
    "kpatch: PID: 1 Comm: lp_ghost",
    "kpatch: loaded patch module 'lp_ghost'",
    "kgr: applying patch 'lp_ghost'",
    "kgr still in progress after timeout (30)",
    "kgr: all processes marked as migrated on admin's request",
    "kgr succeeded",
    "ksplice: Update lp_ghost applied successfully",
    "ksplice: Aborted lp_ghost.  (code_busy)",
    "livepatch: 'lp_stall': patching complete",
];

/// Log lines that are this far apart are distinct.
const APART: Duration = Duration::from_secs(3);

/// For a daemon that follows the log.
const A_MOMENT: Duration = Duration::from_secs(1);

pub fn run(trial: &mut Trial) -> Result<()> {
    for (daemon, ways) in [
        (&[][..], &[&[][..], ALONE, ALONE_NO_BPF][..]),
        (&["--no-bpf"][..], &[&[][..]][..]),
    ] {
        trial.say(&format!("daemon {}", daemon.join(" ")));
        with_daemon(trial, daemon, ways)
            .with_context(|| format!("with `lpwatch daemon {}`", daemon.join(" ")))?;
    }
    Ok(())
}

fn with_daemon(trial: &Trial, how: &[&str], ways: &[&[&str]]) -> Result<()> {
    let daemon = Daemon::start(&[PATIENT, how].concat())?;
    unmoved(ways).context("before")?;

    let target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    stall.wait_left(Code::Old, 1)?;
    thread::sleep(APART);
    trial.say("stalled");
    unmoved(ways).context("in the transition")?;
    for way in ways {
        let document = lpwatch::status(&[way, PATIENT], &[code::IN_TRANSITION])?;
        let direction = &document.transition("lp_stall")?.direction;
        ensure!(direction == "patching", "{way:?}: {direction}");
        lpwatch::run(&[&["wait", "lp_stall", "--timeout", "1s"], way, PATIENT])?
            .expect(&[code::TIMED_OUT])?;
    }

    stall.disable()?;
    stall.wait_gone()?;
    daemon.wait_outcome("lp_stall", "patching", "reversed")?;
    trial.say("reversed");
    unmoved(ways).context("after")?;
    stall.remove()?;
    target.unload()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// Whether all that lpwatch says is the same before and after lines are forged.
fn unmoved(ways: &[&[&str]]) -> Result<()> {
    let before = said(ways)?;
    forge()?;
    thread::sleep(A_MOMENT);
    let after = said(ways)?;
    ensure!(before.words == after.words, "{before:#?}\n{after:#?}");
    let same_time = |(one, other): (&Timestamp, &Timestamp)| {
        one.duration_since(*other).abs() < SignedDuration::from_secs(2)
    };
    ensure!(
        before.times.len() == after.times.len()
            && before.times.iter().zip(&after.times).all(same_time),
        "{before:#?}\n{after:#?}"
    );
    let text = format!("{after:?}");
    ensure!(!text.contains("lp_ghost"), "{text}");
    Ok(())
}

/// What lpwatch says by every way, without what time alone changes.
#[derive(Debug, Default)]
struct Said {
    words: Vec<String>,
    times: Vec<Timestamp>,
}

fn said(ways: &[&[&str]]) -> Result<Said> {
    let mut said = Said::default();
    for way in ways {
        status(way, &mut said).with_context(|| format!("status {way:?}"))?;
        if patch::transition("lp_stall")? != Some(true) {
            wait(way, &mut said).with_context(|| format!("wait {way:?}"))?;
        }
    }
    patches(&mut said).context("patches")?;
    metrics(&mut said).context("metrics")?;
    Ok(said)
}

fn status(way: &[&str], said: &mut Said) -> Result<()> {
    let ended = lpwatch::run(&[&["status", "-o", "json"], way, PATIENT])?;
    let document = ended.document()?;
    said.words.push(format!("{way:?} exit {}", ended.code()?));
    for patch in &document.patches {
        let transition = patch.transition.as_ref();
        said.words.push(format!(
            "{} {:?} {:?}",
            patch.name,
            patch.enabled,
            transition.map(|transition| (&transition.direction, transition.started_at.is_some()))
        ));
        let started = transition.and_then(|transition| transition.started_at.as_ref());
        said.times
            .extend(started.map(|at| at.parse::<Timestamp>()).transpose()?);
    }
    for past in &document.last_transitions {
        said.words.push(format!(
            "ended: {:?} {:?} {:?} {} {:?} {:?}",
            past.patch,
            past.engine,
            past.direction,
            past.outcome,
            past.why(),
            past.signals
        ));
    }
    Ok(())
}

/// `wait` where nothing is in transition: the newest end, if it is news.
fn wait(way: &[&str], said: &mut Said) -> Result<()> {
    let ended = Running::lpwatch(&[&["wait", "lp_ghost"], way].concat())?.end()?;
    ended.expect(&[code::ERROR])?;
    let ended = Running::lpwatch(&[&["wait", "-o", "json"], way].concat())?.end()?;
    let report: Value = serde_json::from_slice(&ended.stdout)?;
    let patch = &report["patch"];
    // What ended becomes old while this scenario goes on.
    if report["result"] != "nothing" {
        ensure!(patch == "lp_stall", "{report}");
        ensure!(ended.code()? == code::REVERSED, "{report}");
    }
    said.words.push(format!("{way:?} waits for nothing else"));
    Ok(())
}

fn patches(said: &mut Said) -> Result<()> {
    let ended = Running::lpwatch(&["patches", "-o", "json"])?.end()?;
    let report: Value = serde_json::from_slice(&ended.expect(&[code::WELL])?.stdout)?;
    let listed = report["patches"].as_array().context("no patches")?;
    for patch in listed {
        said.words.push(format!(
            "{} {} {}",
            patch["name"], patch["engine"], patch["transition"]["direction"]
        ));
        let since = patch["applied_at"]
            .as_str()
            .map(str::parse::<Timestamp>)
            .transpose()?;
        said.times.extend(since);
    }
    Ok(())
}

fn metrics(said: &mut Said) -> Result<()> {
    let scrape = Scrape::now()?;
    let of_state = scrape.0.lines().filter(|line| {
        [
            "lpwatch_transitions_total",
            "lpwatch_transition_in_progress",
            "lpwatch_patch_enabled",
        ]
        .iter()
        .any(|name| line.starts_with(name))
    });
    said.words.extend(of_state.map(str::to_owned));
    Ok(())
}

/// Writes all lines: as they are, and with the level and the facility that the
/// kernel's own have. Checks that they have arrived.
fn forge() -> Result<()> {
    let before = arrived()?;
    for line in FORGED {
        for text in [format!("{line}\n"), format!("<5>{line}\n")] {
            fs::write(KMSG, &text).with_context(|| format!("writing {text:?} to {KMSG}"))?;
        }
    }
    let after = arrived()?;
    ensure!(
        after >= before + 2 * FORGED.len(),
        "of {} lines only {} arrived in the log",
        2 * FORGED.len(),
        after - before
    );
    Ok(())
}

/// How many records the log has, such as a forged one among them.
fn arrived() -> Result<usize> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(KMSG)
        .with_context(|| format!("opening {KMSG}"))?;
    let mut record = vec![0; 8192];
    let mut number = 0;
    loop {
        match log.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                let message = text.split_once(';').map_or("", |(_, message)| message);
                let message = message.lines().next().unwrap_or_default();
                number += usize::from(FORGED.contains(&message));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(number),
            // The oldest records were overwritten: go on with the next.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPIPE as i32) => {}
            Err(error) => bail!("reading {KMSG}: {error}"),
        }
    }
}
