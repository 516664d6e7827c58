//! The history on a disk that is full, read-only or gone, in a damaged file, and with a
//! clock that is set back: the daemon goes on and says what is wrong, and what could be
//! kept is all there afterwards.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::guest;
use crate::journal::{Event, History, Journal};
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::scrape::Scrape;
use crate::trial::Trial;

/// A disk of its own, and the folder of the history on it.
const DISK: &str = "/run/lpwatch-faults";
const DIR: &str = "/run/lpwatch-faults/history";

const PATCH: &str = "lp_cmdline";

const NOT_WRITTEN: &str = "The history cannot be written: ";

/// By how much the clock is set back, in seconds.
const BACK: i64 = 3600;

/// A transition of [`PATCH`] takes less.
const SOON_SECONDS: f64 = 60.0;

pub fn run(trial: &mut Trial) -> Result<()> {
    let disk = Mounted::disk()?;
    fs::create_dir(DIR)?;
    fs::write(format!("{DIR}/history.db"), b"not a history".repeat(1000))?;
    let daemon = Daemon::start(&["--history-dir", DIR])?;
    damaged(trial)?;
    kept(0)?;
    trial.say("a full disk");
    let filler = fill()?;
    // The damaged file made way for a new one; the daemon has it open.
    failing(trial, "full", 2)?;
    fs::remove_file(filler)?;
    mended()?;
    kept(4)?;
    trial.say("a read-only disk");
    let read_only = Mounted::read_only()?;
    failing(trial, "", 2)?;
    drop(read_only);
    mended()?;
    kept(8)?;
    trial.say("the clock is set back");
    set_back(trial)?;
    kept(10)?;
    trial.say("the folder vanishes");
    vanished(trial)?;
    daemon.terminate()?.expect(&[code::WELL])?;
    drop(disk);
    Ok(())
}

/// A patch that comes and goes, as the daemon tells it at once.
fn turn() -> Result<Vec<Event>> {
    let told = Journal::begin()?;
    Patch::load_completely(PATCH)?.remove()?;
    told.ended(PATCH, 2)
}

/// The note about the history in `lpwatch status`.
fn note() -> Result<Option<String>> {
    let notes = lpwatch::poll()?.notes;
    let is_it = |note: &String| note.starts_with("The history ");
    Ok(notes.into_iter().find(is_it))
}

fn wait_note(words: &str) -> Result<String> {
    let mut last = None;
    guest::wait_for(words, || {
        last = note()?;
        Ok(last.clone().filter(|note| note.contains(words)))
    })
    .with_context(|| format!("the note: {last:?}"))
}

/// The history holds so many transitions that this daemon followed.
fn kept(number: usize) -> Result<()> {
    let mut seen = None;
    guest::wait_until("the history has all", || {
        let history: History = lpwatch::ask("/api/v1/history?limit=10000")?;
        let own = history.transitions.iter();
        let there = own.filter(|record| !record.reconstructed).count();
        seen = Some(history);
        Ok(there == number)
    })
    .with_context(|| format!("not {number}: {seen:?}"))
}

fn metric(value: f64) -> Result<()> {
    Scrape::now()?.expect("lpwatch_history_written", value)
}

/// A file that is none was set aside, and is still there.
fn damaged(trial: &Trial) -> Result<()> {
    let note = wait_note("damaged")?;
    trial.say(&note);
    metric(1.0)?;
    let names = guest::names_in(DIR.as_ref());
    let aside = names.iter().find(|name| name.contains(".damaged-"));
    let aside = aside.with_context(|| format!("{names:?}"))?;
    ensure!(note.contains(aside.as_str()), "{note}");
    let text = lpwatch::run(&[&["status"]])?;
    let text = text.expect(&[code::WELL])?.all_text();
    ensure!(text.contains("damaged"), "the table: {text}");
    Ok(())
}

/// Transitions while nothing can be written: told, and the fault with them.
fn failing(trial: &Trial, words: &str, ended: usize) -> Result<()> {
    let events = turn()?;
    ensure!(
        events.iter().filter(|event| is_end(event)).count() == ended,
        "{events:?}"
    );
    let note = wait_note(NOT_WRITTEN)?;
    ensure!(note.contains(words), "{note}");
    trial.say(&note);
    metric(0.0)
}

fn is_end(event: &Event) -> bool {
    event.kind == "transition_ended"
}

/// The next event is written, with those that wait.
fn mended() -> Result<()> {
    turn()?;
    guest::wait_until("the history is written again", || Ok(note()?.is_none()))?;
    metric(1.0)
}

/// Takes all the room that is left on the disk.
fn fill() -> Result<String> {
    let path = format!("{DISK}/filler");
    let mut file = File::create(&path)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    Ok(path)
}

fn set_back(trial: &Trial) -> Result<()> {
    let told = Journal::begin()?;
    let patch = Patch::load_completely(PATCH)?;
    told.ended(PATCH, 1)?;
    let clock = Clock::back()?;
    patch.remove()?;
    let events = told.ended(PATCH, 2)?;
    drop(clock);
    for (one, next) in events.iter().zip(events.iter().skip(1)) {
        ensure!(
            one.id < next.id && one.boot_seconds <= next.boot_seconds,
            "in another order: {one:?}, {next:?}"
        );
    }
    let ends: Vec<&Event> = events.iter().filter(|event| is_end(event)).collect();
    let [first, second] = ends[..] else {
        anyhow::bail!("{events:?}");
    };
    let at = |event: &Event| Ok::<_, anyhow::Error>(event.at.parse::<Timestamp>()?);
    let later = at(second)?.duration_since(at(first)?).as_secs();
    trial.say(&format!("by the clock the second ended {later} s later"));
    ensure!(later < 0, "the clock was not set back");
    let took = |event: &Event| event.details.seconds;
    let is_right = |seconds: f64| (0.0..SOON_SECONDS).contains(&seconds);
    ensure!(
        took(first).is_some_and(is_right) && took(second).is_some_and(is_right),
        "{events:?}"
    );
    let history: History = lpwatch::ask("/api/v1/history?limit=2")?;
    let [newest, older] = &history.transitions[..] else {
        anyhow::bail!("{history:?}");
    };
    ensure!(
        newest.id > older.id
            && newest.transition.direction.as_deref() == Some("unpatching")
            && newest.ended_boot_seconds > older.ended_boot_seconds,
        "{history:?}"
    );
    for record in [newest, older] {
        let started = record.started_boot_seconds.context("no start")?;
        ensure!(
            is_right(record.ended_boot_seconds - started)
                && record.unwatched_seconds < f64::EPSILON,
            "{record:?}"
        );
    }
    Ok(())
}

/// Without the folder the daemon begins a new history; the ids go on.
fn vanished(trial: &Trial) -> Result<()> {
    let last = turn()?.last().context("no event")?.id;
    kept(12)?;
    fs::remove_dir_all(DIR)?;
    let events = turn()?;
    ensure!(events.iter().all(|event| event.id > last), "{events:?}");
    let note = wait_note("has vanished")?;
    trial.say(&note);
    metric(1.0)?;
    kept(2)
}

/// Something mounted, until it goes.
struct Mounted;

impl Mounted {
    fn disk() -> Result<Self> {
        drop(fs::remove_dir_all(DISK));
        fs::create_dir(DISK)?;
        let size = Some("size=1m");
        mount(Some("none"), DISK, Some("tmpfs"), MsFlags::empty(), size)?;
        Ok(Self)
    }

    /// The same disk once more in its place, so that nothing new can be written: not even
    /// by a process that has a file open there for writing.
    fn read_only() -> Result<Self> {
        let none: Option<&str> = None;
        mount(Some(DISK), DISK, none, MsFlags::MS_BIND, none)?;
        let mounted = Self;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount(none, DISK, none, flags, none)?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = umount2(DISK, MntFlags::MNT_DETACH) {
            eprintln!("    left behind: {DISK}: {error}");
        }
    }
}

/// The clock, set back until it goes.
struct Clock;

impl Clock {
    fn back() -> Result<Self> {
        Self::set(-BACK)?;
        Ok(Self)
    }

    fn set(by: i64) -> Result<()> {
        let to = Timestamp::now().as_second() + by;
        let status = Command::new("date")
            .args(["-s", &format!("@{to}")])
            .output()?;
        ensure!(status.status.success(), "date: {status:?}");
        // The next second has begun.
        thread::park_timeout(Duration::from_millis(20));
        Ok(())
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Err(error) = Self::set(BACK) {
            eprintln!("    left behind: the clock: {error:#}");
        }
    }
}
