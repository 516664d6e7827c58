//! `cargo xtask dist`: the program, the Debian package and the container image,
//! made so that the same commit gives the same bytes.

mod crates;
mod deb;
mod epoch;
mod lintian;
mod oci;
mod stage;
mod system;
pub mod test;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::Profile;
use crate::kernels::sha256;
use crate::{build, paths, setup, ui};
use epoch::Epoch;

/// What was made, all of it in `target/dist/`.
#[derive(Debug, Clone)]
pub struct Made {
    pub program: PathBuf,
    pub deb: PathBuf,
    pub image: PathBuf,
}

/// Runs `cargo xtask dist`.
pub fn run(check: bool) -> Result<ExitCode> {
    let made = make(Profile::Packaged)?;
    if check {
        is_reproducible(&made)?;
        lintian::run(&made.deb)?;
    }
    for file in made.files() {
        ui::note(file.display().to_string());
    }
    ui::note(paths::target("dist/SHA256SUMS").display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Builds everything.
pub fn make(profile: Profile) -> Result<Made> {
    let program = build::lpwatch(profile)?;
    let dist = paths::target("dist");
    let made = pack(&program, &dist)?;
    fs::write(dist.join("SHA256SUMS"), sums(&made)?)?;
    Ok(made)
}

/// Packs a built program into `into`.
fn pack(program: &Path, into: &Path) -> Result<Made> {
    let cargo_deb = setup::for_packages()?;
    let epoch = Epoch::of_this_commit()?;
    let stage = stage::Stage::fill(program, epoch)?;
    fs::create_dir_all(into)?;
    let step = ui::Step::start("packing");
    let deb = deb::build(&cargo_deb, into, epoch)?;
    let image = into.join(format!("lpwatch-{}-oci.tar", env!("CARGO_PKG_VERSION")));
    oci::write(&stage.program(), &image, epoch)?;
    step.done("a Debian package and a container image");
    Ok(Made {
        program: program.to_path_buf(),
        deb,
        image,
    })
}

/// Packs once more, elsewhere, and compares.
fn is_reproducible(made: &Made) -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    let again = pack(&made.program, elsewhere.path())?;
    for (one, other) in [(&made.deb, &again.deb), (&made.image, &again.image)] {
        if sha256(one)? != sha256(other)? {
            bail!("{} came out differently the second time", one.display());
        }
    }
    ui::note("packed twice, with the same bytes");
    Ok(())
}

/// As sha256sum(1) writes and reads it.
fn sums(made: &Made) -> Result<String> {
    let mut text = String::new();
    for file in made.files() {
        let name = file.file_name().context("a file without a name")?;
        writeln!(text, "{}  {}", sha256(file)?, name.to_string_lossy())?;
    }
    Ok(text)
}

impl Made {
    fn files(&self) -> [&Path; 3] {
        let Self {
            program,
            deb,
            image,
        } = self;
        [program, deb, image]
    }
}
