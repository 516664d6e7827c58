//! Packages of the machine itself: what is missing, and getting it.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::{process, ui};

/// Something the machine must have.
#[derive(Clone, Copy)]
pub struct Need {
    pub what: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    pub is_there: fn() -> bool,
}

/// apt runs once at a time.
static APT: Mutex<()> = Mutex::new(());

/// Installs what of `needs` is missing, or says how to.
pub fn ensure(needs: &[Need]) -> Result<()> {
    // Another thread may be installing the very same.
    let _turn = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing
        .iter()
        .map(|need| format!("  {} ({})", need.package, need.what))
        .collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    install_now(&packages)
        .with_context(|| format!("missing on this machine:\n{}", list.join("\n")))?;
    match missing.iter().find(|need| !(need.is_there)()) {
        None => Ok(()),
        Some(need) => bail!(
            "{} is installed, but still there is not {}; is another program in its place?",
            need.package,
            need.what,
        ),
    }
}

/// Installs packages with apt-get, where that is possible and allowed.
pub fn install(packages: &[&str]) -> Result<()> {
    let _turn = APT.lock().unwrap_or_else(PoisonError::into_inner);
    install_now(packages)
}

fn install_now(packages: &[&str]) -> Result<()> {
    let command = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if process::which("apt-get").is_none() {
        bail!("this machine has no apt-get; install these with its own package manager");
    }
    if !geteuid().is_root() {
        bail!("installing takes root; run: sudo {command}");
    }
    let step = ui::Step::start(format!("installing {}", packages.join(" ")));
    let mut result = process::run(&mut apt_get(packages));
    if result.is_err() {
        // The lists may be missing, as in a container, or older than the mirror.
        process::run(Command::new("apt-get").args(["-q", "update"]))?;
        result = process::run(&mut apt_get(packages));
    }
    result.with_context(|| format!("cannot install by itself; try: {command}"))?;
    step.done("installed");
    Ok(())
}

/// Whether the machine's apt knows a package.
pub fn is_known(package: &str) -> bool {
    process::ask(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
        .is_some_and(|entry| !entry.is_empty())
}

fn apt_get(packages: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C");
    command
        .args(["-q", "-y", "--no-install-recommends", "install"])
        .args(packages);
    command
}
