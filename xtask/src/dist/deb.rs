//! The Debian package, by cargo-deb from what `stage` has laid out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::epoch::Epoch;
use crate::{paths, process};

/// Builds the package into the folder `into`.
pub fn build(cargo_deb: &Path, into: &Path, epoch: Epoch) -> Result<PathBuf> {
    let folder = tempfile::tempdir_in(paths::target("dist"))?;
    let mut command = Command::new(cargo_deb);
    command
        .current_dir(paths::workspace())
        .env("SOURCE_DATE_EPOCH", epoch.0.to_string())
        .args(["--package", "lpwatch", "--no-build", "--no-strip"])
        .args(["--locked", "--quiet", "--output"])
        .arg(folder.path());
    process::run(&mut command).context("cargo-deb makes no package")?;
    let made = fs::read_dir(folder.path())?.next();
    let Some(made) = made.transpose()? else {
        bail!("cargo-deb has ended well, but there is no package");
    };
    let deb = into.join(made.file_name());
    // A temporary folder may be on another file system.
    fs::copy(made.path(), &deb).with_context(|| format!("cannot write {}", deb.display()))?;
    Ok(deb)
}
