//! Debian's own judge of packages, in a system of its own: which remarks it makes
//! should not depend on the machine.

use std::path::Path;

use anyhow::{Context, Result};

use super::system::System;
use crate::{process, ui};

/// Fails on any remark that is not overridden in deploy/debian/lintian-overrides.
pub fn run(deb: &Path) -> Result<()> {
    let system = System::get("lint", "bookworm", &["adduser", "lintian"])?;
    let trial = system.trial()?;
    let inside = trial.put(deb)?;
    let step = ui::Step::start("lintian");
    let mut lintian = trial.command("lintian");
    lintian.args(["--allow-root", "--info", "--pedantic", "--fail-on"]);
    lintian.arg("error,warning,info,pedantic").arg(inside);
    process::run(&mut lintian).context("lintian has remarks about the package")?;
    step.done("no remark");
    Ok(())
}
