//! Kernels kept under `target/kernels/<series>/`, and whether they are whole.
//!
//! A folder is filled under another name and renamed, and its manifest holds
//! the image's checksum: what is found here was once complete, and still is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Series, fetch};
use crate::archive::apt::Package;
use crate::lock::Lock;
use crate::{paths, ui};

/// Raised when what a cached folder holds changes.
const LAYOUT: u32 = 1;

/// What is known of a cached kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub layout: u32,
    /// As `uname -r` says.
    pub release: String,
    /// The suite it came from.
    pub suite: String,
    /// The suite whose compiler built it.
    pub base: String,
    pub packages: Vec<Package>,
    /// What else the headers need to build a module.
    pub build_depends: Vec<String>,
    pub sha256: String,
}

/// A kernel ready to boot.
#[derive(Debug, Clone)]
pub struct Cached {
    pub series: Series,
    pub manifest: Manifest,
    folder: PathBuf,
}

impl Cached {
    /// The kernel of `series`: from the cache, or fetched.
    pub fn get(series: Series, refresh: bool) -> Result<Self> {
        let all = paths::target("kernels");
        let _lock = Lock::acquire(&all, series.name())?;
        let folder = all.join(series.name());
        if !refresh && let Some(cached) = Self::open(series, &folder) {
            return Ok(cached);
        }
        let step = ui::Step::start(format!("fetching kernel {series}"));
        let fresh = tempfile::Builder::new()
            .prefix(".fetching-")
            .tempdir_in(&all)?;
        let manifest = fetch::fetch(series, fresh.path())
            .with_context(|| format!("cannot fetch a kernel of series {series}"))?;
        fs::write(
            fresh.path().join("manifest.json"),
            serde_json::to_vec_pretty(&manifest)?,
        )?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::rename(fresh.keep(), &folder)?;
        step.done(format!("{} from {}", manifest.release, manifest.suite));
        Ok(Self {
            series,
            manifest,
            folder,
        })
    }

    /// The kernel image.
    pub fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The packages to build modules with, not unpacked.
    pub fn header_packages(&self) -> PathBuf {
        self.folder.join("headers")
    }

    fn open(series: Series, folder: &Path) -> Option<Self> {
        let text = fs::read(folder.join("manifest.json")).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        let whole = manifest.layout == LAYOUT
            && sha256(&folder.join("vmlinuz")).ok()? == manifest.sha256
            && folder.join("headers").is_dir();
        if !whole {
            ui::note(format!(
                "the cached kernel {series} is not whole; fetching it again"
            ));
        }
        whole.then(|| Self {
            series,
            manifest,
            folder: folder.to_path_buf(),
        })
    }
}

impl Manifest {
    /// The manifest of what was just put beside `image`.
    pub fn of(
        image: &Path,
        release: String,
        source: super::Source,
        packages: Vec<Package>,
        build_depends: Vec<String>,
    ) -> Result<Self> {
        Ok(Self {
            layout: LAYOUT,
            release,
            suite: source.suite.to_owned(),
            base: source.base.to_owned(),
            packages,
            build_depends,
            sha256: sha256(image)?,
        })
    }
}

/// The checksum of a file, in hexadecimal.
pub fn sha256(file: &Path) -> Result<String> {
    let mut open = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut hash = Sha256::new();
    io::copy(&mut open, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached_kernel(folder: &Path) {
        fs::create_dir(folder.join("headers")).unwrap();
        fs::write(folder.join("vmlinuz"), "image").unwrap();
        let source = Series::V6_1.sources()[0];
        let manifest = Manifest::of(
            &folder.join("vmlinuz"),
            "6.1.0".into(),
            source,
            vec![],
            vec![],
        )
        .unwrap();
        let text = serde_json::to_vec(&manifest).unwrap();
        fs::write(folder.join("manifest.json"), text).unwrap();
    }

    #[test]
    fn a_whole_kernel_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        cached_kernel(folder.path());
        let cached = Cached::open(Series::V6_1, folder.path()).unwrap();
        assert_eq!(cached.manifest.release, "6.1.0");
    }

    #[test]
    fn a_damaged_image_is_not_taken_for_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        cached_kernel(folder.path());
        fs::write(folder.path().join("vmlinuz"), "ima").unwrap();
        assert!(Cached::open(Series::V6_1, folder.path()).is_none());
    }

    #[test]
    fn an_empty_folder_is_no_kernel() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Cached::open(Series::V6_1, folder.path()).is_none());
    }
}
