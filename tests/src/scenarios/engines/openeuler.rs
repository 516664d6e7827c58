//! openEuler's own live patching: enabled at once, disabled, beside livepatch.

use anyhow::{Result, ensure};

use super::stand::Stand;
use super::{Abi, counted};
use crate::guest;
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::trial::Trial;

const STAND: Stand<'static> = Stand {
    patch: "klp_fix",
    engine: "openeuler",
    enabled: true,
    direction: None,
    stalled: false,
    refused: false,
};

pub fn run(_: &mut Trial) -> Result<()> {
    let live = Patch::load_completely("lp_cmdline")?;
    let daemon = Daemon::start(&[])?;
    let abi = Abi::load("abi_openeuler")?;
    abi.tell("add klp_fix")?;
    daemon.wait_outcome("klp_fix", "patching", "completed")?;
    let scrape = STAND.check()?;
    scrape.has_no("lpwatch_transition_tasks{")?;
    ensure!(counted("patching", "completed")? > 0.5, "not counted");

    // Its table lists livepatch's patches as well: they stay livepatch's, and are
    // listed once.
    abi.tell("add lp_cmdline")?;
    for flags in [&[][..], &["--no-daemon", "--no-bpf"]] {
        let document = lpwatch::look(&[flags])?;
        let engines: Vec<_> = document
            .patches
            .iter()
            .map(|patch| (patch.name.as_str(), patch.engine.as_str()))
            .collect();
        ensure!(
            engines == [("lp_cmdline", "livepatch"), ("klp_fix", "openeuler")],
            "{engines:?}"
        );
    }

    abi.tell("enabled klp_fix 0")?;
    daemon.wait_outcome("klp_fix", "unpatching", "completed")?;
    let disabled = Stand {
        enabled: false,
        ..STAND
    };
    disabled.check()?;
    abi.tell("remove klp_fix")?;
    guest::wait_until("it is gone", || {
        Ok(lpwatch::poll()?.find("klp_fix").is_none())
    })?;
    live.remove()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}
