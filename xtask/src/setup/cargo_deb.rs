//! cargo-deb, which makes the Debian package: built once, at a fixed version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::lock::Lock;
use crate::{paths, process, ui};

const VERSION: &str = "3.8.0";

/// The program; built where it is not there, or is another version.
pub fn ensure() -> Result<PathBuf> {
    let tools = paths::target("tools");
    let _lock = Lock::acquire(&tools, "cargo-deb")?;
    let folder = tools.join("cargo-deb");
    let program = folder.join("bin/cargo-deb");
    if is_ours(&program) {
        return Ok(program);
    }
    let step = ui::Step::start(format!("building cargo-deb {VERSION}"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .env_remove("RUSTFLAGS")
        // It packs a few megabytes: to be compiled soon matters more.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .args(["install", "cargo-deb", "--locked", "--force"])
        .args(["--version", VERSION, "--root"])
        .arg(&folder);
    process::run_logged(&mut cargo, &paths::target("logs/cargo-deb.log"))
        .context("cargo-deb does not build")?;
    step.done("built");
    if !is_ours(&program) {
        bail!("{} is not cargo-deb {VERSION}", program.display());
    }
    Ok(program)
}

fn is_ours(program: &Path) -> bool {
    process::ask(Command::new(program).arg("--version"))
        .is_some_and(|said| said.split_whitespace().any(|word| word == VERSION))
}
