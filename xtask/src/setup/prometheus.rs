//! Debian's Prometheus, unpacked and not installed: its service is never set up,
//! let alone started, and no root is needed. One in PATH comes first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::archive::{Mirrors, Suite, apt};
use crate::lock::Lock;
use crate::process::{self, which};
use crate::{paths, ui};

/// The oldest Prometheus that is promised: what works there works later.
const SUITE: &str = "bookworm";
/// From trixie on the tool is in a package of its own.
const PACKAGES: [&str; 2] = ["prometheus", "promtool"];

/// The two programs of a Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    pub server: PathBuf,
    pub promtool: PathBuf,
    /// Its first line of `--version`.
    pub version: String,
}

/// Finds Prometheus, or fetches it.
pub fn ensure() -> Result<Prometheus> {
    if let (Some(server), Some(promtool)) = (which("prometheus"), which("promtool")) {
        return Prometheus::at(server, promtool);
    }
    let all = paths::target("prometheus");
    let _lock = Lock::acquire(&all, SUITE)?;
    let folder = all.join(SUITE);
    let programs = folder.join("usr/bin");
    let (server, promtool) = (programs.join("prometheus"), programs.join("promtool"));
    if !(server.is_file() && promtool.is_file()) {
        fetch(&all, &folder)?;
    }
    Prometheus::at(server, promtool)
}

impl Prometheus {
    fn at(server: PathBuf, promtool: PathBuf) -> Result<Self> {
        let said = process::run(Command::new(&promtool).arg("--version"))
            .with_context(|| format!("{} does not run on this machine", promtool.display()))?;
        let version = said.lines().next().unwrap_or("promtool").to_owned();
        Ok(Self {
            server,
            promtool,
            version,
        })
    }
}

fn fetch(all: &Path, folder: &Path) -> Result<()> {
    let step = ui::Step::start("fetching Prometheus");
    let suite = Suite::open(&Mirrors::of_this_machine()?, SUITE)?;
    let packages: Vec<_> = PACKAGES
        .iter()
        .filter_map(|name| suite.show(name))
        .collect();
    let fresh = tempfile::Builder::new()
        .prefix(".fetching-")
        .tempdir_in(all)?;
    for deb in suite.download(&packages)? {
        apt::unpack(&deb, fresh.path())?;
        fs::remove_file(deb)?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(fresh.keep(), folder)?;
    let version = packages.first().map_or("nothing", |first| &first.version);
    step.done(format!("{version} from {SUITE}"));
    Ok(())
}
