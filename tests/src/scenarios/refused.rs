//! Patches that the kernel refuses, before and after it has begun a transition.

use anyhow::{Result, ensure};
use nix::errno::Errno;

use crate::contract::Past;
use crate::guest;
use crate::lpwatch::{self, Daemon, code};
use crate::trial::Trial;

pub fn run(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(&[])?;

    let errno = guest::load_refused("lp_missing_symbol")?;
    ensure!(errno == Errno::EINVAL, "the kernel said {errno}");
    let refused = last("lp_missing_symbol")?;
    ensure!(refused.outcome == "refused", "{refused:?}");
    ensure!(refused.errno() == Some(Errno::EINVAL as i32), "{refused:?}");
    let message = refused.why();
    ensure!(
        message.contains("lpwatch_no_such_function"),
        "no reason told: {refused:?}"
    );
    trial.say(&message);

    let errno = guest::load_refused("lp_pre_patch_fails")?;
    ensure!(errno == Errno::ENOMEM, "the kernel said {errno}");
    let refused = last("lp_pre_patch_fails")?;
    ensure!(
        ["refused", "cancelled"].contains(&refused.outcome.as_str()),
        "{refused:?}"
    );
    ensure!(refused.errno() == Some(Errno::ENOMEM as i32), "{refused:?}");
    trial.say(&refused.why());

    // The kernel logs "unpatching complete" for it: that is not what happened.
    let document = lpwatch::look(&[])?;
    ensure!(
        document.patches.is_empty(),
        "listed: {:?}",
        document.patches
    );
    for patch in ["lp_missing_symbol", "lp_pre_patch_fails"] {
        let told = document
            .last_transitions
            .iter()
            .filter(|past| past.patch.as_deref() == Some(patch));
        ensure!(
            told.count() == 1,
            "told more than once: {:?}",
            document.last_transitions
        );
        lpwatch::run(&[&["status", patch]])?.expect(&[code::REVERSED])?;
    }
    Ok(())
}

/// What the daemon says of the refusal of that patch.
pub fn last(patch: &str) -> Result<Past> {
    guest::wait_for("the daemon tells of the refusal", || {
        let document = lpwatch::poll()?;
        let mut all = document.last_transitions.into_iter();
        Ok(all.find(|past| past.patch.as_deref() == Some(patch) && past.errno().is_some()))
    })
}
