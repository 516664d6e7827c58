//! Fetches the newest kernel of a series, and the headers that belong to it.
//!
//! Both at once: an archive drops a kernel's headers when the next one
//! arrives, and a kernel without its headers can load no test module.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::cache::Manifest;
use super::{Series, Source};
use crate::archive::apt::{self, Package};
use crate::archive::{Mirrors, Suite};

/// Fills `folder` with `vmlinuz`, `config` and `headers/*.deb`.
pub fn fetch(series: Series, folder: &Path) -> Result<Manifest> {
    let mirrors = Mirrors::of_this_machine()?;
    let mut reasons = Vec::new();
    for &source in series.sources() {
        match fetch_from(series, source, &mirrors, folder) {
            Ok(manifest) => return Ok(manifest),
            Err(error) => reasons.push(format!("{}: {error:#}", source.suite)),
        }
    }
    bail!("no suite of the mirror has it:\n  {}", reasons.join("\n  "))
}

fn fetch_from(
    series: Series,
    source: Source,
    mirrors: &Mirrors,
    folder: &Path,
) -> Result<Manifest> {
    let suite = Suite::open(mirrors, source.suite)?;
    let release = newest_release(&suite, source.meta)?;
    if !series.has(&release) {
        bail!("its newest kernel is {release}, which is not of this series");
    }
    let (image, _) = suite.closure(&format!("linux-image-{release}"), belongs_to_image)?;
    let (headers, build_depends) =
        suite.closure(&format!("linux-headers-{release}"), belongs_to_headers)?;
    fetch_image(&suite, &image, &release, folder)?;
    fetch_headers(&suite, &headers, folder)?;
    let packages = [image, headers].concat();
    let build_depends = build_depends
        .into_iter()
        .filter(|name| is_for_building(name))
        .collect();
    Manifest::of(
        &folder.join("vmlinuz"),
        release,
        source,
        packages,
        build_depends,
    )
}

/// The release the meta package stands for.
fn newest_release(suite: &Suite, meta: &str) -> Result<String> {
    let package = suite
        .show(meta)
        .with_context(|| format!("it has no {meta}"))?;
    package
        .depends
        .iter()
        .find_map(|name| name.strip_prefix("linux-image-"))
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("{meta} {} depends on no kernel", package.version))
}

fn fetch_image(suite: &Suite, packages: &[Package], release: &str, folder: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    for deb in suite.download(packages)? {
        apt::unpack(&deb, &unpacked)?;
        fs::remove_file(deb)?;
    }
    // Since 7.x everything of a kernel is below usr/lib/modules.
    for name in ["vmlinuz", "config"] {
        let places = [
            unpacked.join(format!("boot/{name}-{release}")),
            unpacked.join(format!("usr/lib/modules/{release}/{name}")),
        ];
        let file = places
            .iter()
            .find(|place| place.is_file())
            .with_context(|| {
                format!("there is no {name} where {release}'s packages should have it")
            })?;
        fs::rename(file, folder.join(name))?;
    }
    // The kernel's own modules: 100 MB that no guest loads.
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

fn fetch_headers(suite: &Suite, packages: &[Package], folder: &Path) -> Result<()> {
    let headers = folder.join("headers");
    fs::create_dir_all(&headers)?;
    for deb in suite.download(packages)? {
        let name = deb.file_name().context("apt made a file without a name")?;
        fs::rename(&deb, headers.join(name))?;
    }
    Ok(())
}

/// From 7.x on a kernel is spread over several packages.
fn belongs_to_image(package: &str) -> bool {
    // Not linux-modules-: no guest loads the kernel's own modules.
    package.starts_with("linux-binary-") || is_versioned_base(package)
}

fn belongs_to_headers(package: &str) -> bool {
    ["linux-headers-", "linux-kbuild-", "linux-compiler-"]
        .iter()
        .any(|prefix| package.starts_with(prefix))
        || is_versioned_base(package)
}

/// `linux-base-7.2.1-cloud-amd64` has the kernel's configuration, while
/// `linux-base` has scripts for installing kernels.
fn is_versioned_base(package: &str) -> bool {
    package
        .strip_prefix("linux-base-")
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Compilers and libraries, not the kernel itself or ways to install it.
fn is_for_building(package: &str) -> bool {
    !package.starts_with("linux-image-") && package != "linux-base"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_apart() {
        assert!(belongs_to_image("linux-binary-7.2.1-cloud-amd64"));
        assert!(belongs_to_image("linux-base-7.2.1-cloud-amd64"));
        assert!(!belongs_to_image("linux-base"));
        assert!(belongs_to_headers("linux-compiler-gcc-10-x86"));
        assert!(!belongs_to_headers("linux-image-6.12.1-cloud-amd64"));
        assert!(is_for_building("gcc-12"));
        assert!(!is_for_building("linux-image-6.12.1-cloud-amd64"));
    }
}
