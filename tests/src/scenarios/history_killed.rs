//! A daemon that is killed again and again while transitions end, and between them:
//! every transition is in the history, and none twice.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::journal::{History, history};
use crate::lpwatch::Daemon;
use crate::patch::Patch;
use crate::trial::Trial;

/// Where the daemon keeps its history here.
const DIR: &str = "/run/lpwatch-killed";

const PATCH: &str = "lp_cmdline";

/// How often the daemon is killed; `LPWATCH_KILLS` is another number.
const KILLS: u64 = 6;

pub fn run(trial: &mut Trial) -> Result<()> {
    drop(fs::remove_dir_all(DIR));
    let kills = std::env::var("LPWATCH_KILLS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(KILLS);
    let options = ["--history-dir", DIR];
    let first = Daemon::start(&options)?;
    // Of earlier scenarios, as the kernel log reports them.
    let before = of_patch(&history(DIR)?)?;
    first.kill()?;
    for round in 0..kills {
        if round % 10 == 0 {
            trial.say(&format!("{round} of {kills}"));
        }
        let daemon = Daemon::start(&options)?;
        let patch = Patch::load(PATCH)?;
        // Before its end, at it, and after it.
        if round % 2 == 1 {
            patch.wait_complete()?;
        }
        thread::park_timeout(Duration::from_millis(round * 131 % 700));
        daemon.kill()?;
        patch.wait_complete()?;
        // This one ends while nobody watches.
        patch.remove()?;
    }
    let _last = Daemon::start(&options)?;
    let kept = history(DIR)?;
    let after = of_patch(&kept)?;
    let found = [after[0] - before[0], after[1] - before[1]];
    trial.figure("kills", kills);
    trial.figure("made", kills * 2);
    trial.figure("found", found[0] + found[1]);
    let reconstructed = kept
        .transitions
        .iter()
        .filter(|record| record.reconstructed);
    trial.figure("reconstructed", reconstructed.count());
    ensure!(
        found == [kills, kills],
        "patching, unpatching: {found:?}: {kept:#?}"
    );
    once(&kept)
}

/// The completed transitions of the patch: those that enable it, those that disable it.
fn of_patch(history: &History) -> Result<[u64; 2]> {
    let count = |direction: &str| {
        let of = history.transitions.iter().filter(|record| {
            let past = &record.transition;
            past.patch.as_deref() == Some(PATCH)
                && past.direction.as_deref() == Some(direction)
                && past.outcome == "completed"
        });
        u64::try_from(of.count()).context("too many")
    };
    Ok([count("patching")?, count("unpatching")?])
}

/// No two of them ended at the same time.
fn once(history: &History) -> Result<()> {
    let mut ends: Vec<f64> = history
        .transitions
        .iter()
        .map(|record| record.ended_boot_seconds)
        .collect();
    ends.sort_by(f64::total_cmp);
    for (one, next) in ends.iter().zip(ends.iter().skip(1)) {
        ensure!(
            next - one > 0.001,
            "two transitions ended at {one}: {history:?}"
        );
    }
    Ok(())
}
