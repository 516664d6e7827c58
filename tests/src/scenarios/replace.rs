//! A patch that takes the place of the one before it.

use anyhow::{Result, ensure};

use crate::guest;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, code};
use crate::patch::{self, Patch};
use crate::trial::Trial;

pub fn run(_: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&[])?;
    let _replaced = Patch::load_completely("lp_cmdline")?;
    let replacing = Patch::load_completely("lp_replace")?;
    daemon.wait_outcome("lp_replace", "patching", "completed")?;
    guest::wait_until("the replaced patch is gone", || {
        Ok(patch::enabled("lp_cmdline")?.is_none())
    })?;

    // The file that says so came with 6.11; a daemon may know without it.
    let told = patch::replaces("lp_replace")?;
    for how in [&[][..], ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how], &[code::WELL])?;
        ensure!(
            document.find("lp_cmdline").is_none(),
            "still listed: {document:?}"
        );
        let replace = document.patch("lp_replace")?.replace;
        ensure!(replace != Some(false), "replace {replace:?} with {how:?}");
        ensure!(
            told.is_none() || replace == told,
            "replace {replace:?} with {how:?}"
        );
    }
    replacing.remove()
}
