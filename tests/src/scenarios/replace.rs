//! A patch that takes the place of the one before it.

use anyhow::{Result, ensure};

use crate::guest;
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, code};
use crate::patch::{self, Patch};
use crate::predictions::{SHORT, agreeing_row, check, put_to_the_test};
use crate::trial::Trial;

const REPLACED: &str = "lp_cmdline";

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let told = Journal::begin()?;
    let replaced = Patch::load_completely(REPLACED)?;
    let replacing = Patch::load_completely("lp_replace")?;
    daemon.wait_outcome("lp_replace", "patching", "completed")?;
    guest::wait_until("the replaced patch is gone", || {
        Ok(patch::enabled(REPLACED)?.is_none())
    })?;

    told.expect(REPLACED, &["patch_disabled"])?;

    // The file that says so came with 6.11; a daemon may know without it.
    let told = patch::replaces("lp_replace")?;
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how], &[code::WELL])?;
        ensure!(
            document.find(REPLACED).is_none(),
            "still listed: {document:?}"
        );
        let replace = document.patch("lp_replace")?.replace;
        ensure!(replace != Some(false), "replace {replace:?} with {how:?}");
        ensure!(
            told.is_none() || replace == told,
            "replace {replace:?} with {how:?}"
        );
        // Its patching has completed, and it is not loaded any more: no success.
        let waited = lpwatch::run(&[&["wait", REPLACED], how])?;
        let text = waited.expect(&[code::ERROR])?.all_text();
        ensure!(
            told.is_none() || text.contains("is loaded: lp_replace has replaced it."),
            "with {how:?}: {text}"
        );
    }
    again(trial, replaced)?;
    replacing.remove()
}

/// A replaced patch stays a loaded module: it can be loaded again once it is unloaded.
/// `check` says both.
fn again(trial: &Trial, replaced: Patch) -> Result<()> {
    ensure!(guest::is_loaded(REPLACED), "the kernel unloaded it");
    let report = check(REPLACED, SHORT)?;
    let happened = put_to_the_test(REPLACED, &report)?;
    agreeing_row(trial, "lp_cmdline (replaced)", &report, &happened)?;
    replaced.remove()?;
    let report = check(REPLACED, SHORT)?;
    let happened = put_to_the_test(REPLACED, &report)?;
    agreeing_row(trial, "lp_cmdline (after lp_replace)", &report, &happened)
}
