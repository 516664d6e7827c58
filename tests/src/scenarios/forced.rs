//! A transition that the operator forces. Its guest is spoilt afterwards: the
//! kernel thread still runs code that was declared gone.

use anyhow::{Result, ensure};

use crate::guest::{self, Module};
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::tasks::Code;
use crate::trial::Trial;

pub fn run(_: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let told = Journal::begin()?;
    // Neither is ever taken out: the guest goes down with them.
    std::mem::forget(Module::load("lpwatch_target")?);
    let patch = std::mem::ManuallyDrop::new(Patch::load("lp_stall")?);
    patch.wait_left(Code::Old, 1)?;
    patch.force()?;
    guest::wait_until("the daemon records that it was forced", || {
        let document = lpwatch::poll()?;
        Ok(document
            .last("lp_stall")
            .is_some_and(|past| past.outcome == "forced"))
    })?;
    told.expect("lp_stall", &["transition_forced", "transition_ended"])?;
    let document = lpwatch::status(&[&["lp_stall"]], &[code::WELL])?;
    let shown = document.patch("lp_stall")?;
    ensure!(shown.enabled == Some(true), "{shown:?}");
    ensure!(shown.transition.is_none(), "{shown:?}");
    Ok(())
}
