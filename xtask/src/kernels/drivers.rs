//! The few modules of a kernel's own that a guest needs for a network.
//!
//! A cached kernel comes without its modules, which are 100 MB that no other
//! guest loads: so these are fetched when first asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Cached;
use crate::archive::{Mirrors, Suite, apt};
use crate::lock::Lock;
use crate::{paths, ui};

/// A virtio network device, in the order they are loaded.
pub const NETWORK: [&str; 3] = ["failover", "net_failover", "virtio_net"];

/// A folder with the modules of [`NETWORK`], as `NAME.ko`.
pub fn network(kernel: &Cached) -> Result<PathBuf> {
    let release = &kernel.manifest.release;
    let all = paths::target("drivers");
    let _lock = Lock::acquire(&all, release)?;
    let folder = all.join(release).join("drivers");
    if NETWORK.iter().all(|name| file(&folder, name).is_file()) {
        return Ok(folder);
    }
    let step = ui::Step::start(format!("fetching the network driver of {release}"));
    let unpacked = tempfile::Builder::new()
        .prefix(".fetching-")
        .tempdir_in(&all)?;
    unpack(kernel, unpacked.path())?;
    fs::create_dir_all(&folder)?;
    for name in NETWORK {
        let Some(found) = find(unpacked.path(), name)? else {
            bail!("the package of {release} has no module {name}");
        };
        fs::write(file(&folder, name), contents(&found)?)?;
    }
    step.done("fetched");
    Ok(folder)
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.ko"))
}

fn unpack(kernel: &Cached, to: &Path) -> Result<()> {
    let suite = Suite::open(&Mirrors::of_this_machine()?, &kernel.manifest.suite)?;
    let image = format!("linux-image-{}", kernel.manifest.release);
    let package = suite.show(&image).with_context(|| {
        format!(
            "the archive no longer has {image}; `cargo xtask test --kernel {} --refresh` gets \
             its successor",
            kernel.series,
        )
    })?;
    for deb in suite.download(&[package])? {
        apt::unpack(&deb, to)?;
        fs::remove_file(deb)?;
    }
    Ok(())
}

/// `NAME.ko`, packed or not, anywhere below a folder.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let wanted = [format!("{name}.ko"), format!("{name}.ko.xz")];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if wanted.iter().any(|name| **name == *entry.file_name()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A module as insmod of a guest takes it.
fn contents(module: &Path) -> Result<Vec<u8>> {
    if module.extension().is_some_and(|packed| packed == "xz") {
        let mut xz = Command::new("xz");
        let output = xz.args(["--decompress", "--stdout"]).arg(module).output();
        let output = output.context("cannot start xz, which unpacks a module (xz-utils)")?;
        if !output.status.success() {
            bail!("{} is not a whole xz file", module.display());
        }
        return Ok(output.stdout);
    }
    fs::read(module).with_context(|| format!("cannot read {}", module.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_below() {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("lib/modules/6.12/kernel/drivers/net");
        fs::create_dir_all(&net).unwrap();
        fs::write(net.join("net_failover.ko"), "ko").unwrap();
        assert_eq!(find(folder.path(), "failover").unwrap(), None);
        let found = find(folder.path(), "net_failover").unwrap().unwrap();
        assert_eq!(contents(&found).unwrap(), b"ko");
    }
}
