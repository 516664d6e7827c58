//! The container image, unpacked and run as an engine would: its program alone,
//! with nothing else in its root.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::Verdict;
use crate::chroot::in_own_mounts;
use crate::dist::Made;
use crate::kernels::sha256;
use crate::{paths, process};

/// Unpacks the image, by its own index, and runs it.
pub fn runs(made: &Made) -> Result<Verdict> {
    let folder = tempfile::tempdir_in(paths::target("dist"))?;
    let layer = folder.path().join("layer.tar");
    let configuration = layer_of(made, &layer)?;
    let root = folder.path().join("root");
    tar::Archive::new(File::open(&layer)?).unpack(&root)?;
    let entry = configuration["config"]["Entrypoint"][0].as_str();
    let entry = entry.context("the image does not say what it runs")?;
    let mut command = in_own_mounts();
    let version = process::run(command.arg("chroot").arg(&root).args([entry, "--version"]))?;
    ensure!(
        version.trim() == concat!("lpwatch ", env!("CARGO_PKG_VERSION")),
        "the image's program says {version}"
    );
    Ok(Verdict::Passed(format!(
        "{}, alone in its root",
        version.trim()
    )))
}

/// Writes the image's one layer as a tar archive, and returns its configuration.
pub fn layer_of(made: &Made, to: &Path) -> Result<Value> {
    let folder = tempfile::tempdir_in(paths::target("dist"))?;
    let layout = folder.path();
    tar::Archive::new(File::open(&made.image)?).unpack(layout)?;
    let index = json(&layout.join("index.json"))?;
    let manifest = json(&blob(layout, &index["manifests"][0])?)?;
    let layer = File::open(blob(layout, &manifest["layers"][0])?)?;
    io::copy(&mut GzDecoder::new(layer), &mut File::create(to)?)?;
    json(&blob(layout, &manifest["config"])?)
}

fn json(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A part of the image, which must have the checksum it is named by.
fn blob(layout: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    let hex = digest
        .strip_prefix("sha256:")
        .context("a part without a checksum")?;
    let file = layout.join("blobs/sha256").join(hex);
    ensure!(
        sha256(&file)? == hex,
        "{} is not what its name says",
        file.display()
    );
    Ok(file)
}
