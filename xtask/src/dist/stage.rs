//! The files of the package, as `[package.metadata.deb]` in lpwatch/Cargo.toml
//! names them: `target/dist/package/`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::crates;
use super::epoch::Epoch;
use crate::{paths, process};

/// The shells with completions, and the files these are to be in.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "completions/bash/lpwatch"),
    ("zsh", "completions/zsh/_lpwatch"),
    ("fish", "completions/fish/lpwatch.fish"),
];

/// Folders of `deploy/` that go to the package's examples, where they exist.
const EXAMPLES: [&str; 6] = [
    "prometheus",
    "grafana",
    "container",
    "kubernetes",
    "systemd/socket",
    "recipes",
];

/// A filled folder.
pub struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Fills it anew, from a built program and the sources.
    pub fn fill(program: &Path, epoch: Epoch) -> Result<Self> {
        let stage = Self {
            folder: paths::target("dist/package"),
        };
        if stage.folder.exists() {
            fs::remove_dir_all(&stage.folder)?;
        }
        for folder in [
            "man",
            "completions/bash",
            "completions/zsh",
            "completions/fish",
        ] {
            fs::create_dir_all(stage.folder.join(folder))?;
        }
        stage.strip(program)?;
        process::run(
            Command::new(program)
                .arg("man")
                .arg(stage.folder.join("man")),
        )
        .context("lpwatch does not write its manual pages")?;
        for (shell, file) in SHELLS {
            let script = process::run(Command::new(program).args(["completions", shell]))?;
            fs::write(stage.folder.join(file), script)?;
        }
        stage.examples()?;
        fs::write(stage.folder.join("crates.txt"), crates::list()?)?;
        stage.documents()?;
        epoch.stamp(&stage.folder)?;
        Ok(stage)
    }

    /// The program as it is packed.
    pub fn program(&self) -> PathBuf {
        self.folder.join("lpwatch")
    }

    /// Without symbols: a third of the size, and nobody debugs it in the field.
    fn strip(&self, program: &Path) -> Result<()> {
        let mut strip = Command::new("strip");
        strip.args(["--strip-all", "-o"]);
        process::run(strip.arg(self.program()).arg(program))?;
        Ok(())
    }

    fn examples(&self) -> Result<()> {
        let deploy = paths::workspace().join("deploy");
        for name in EXAMPLES {
            let from = deploy.join(name);
            if from.is_dir() {
                copy_all(&from, &self.folder.join("examples").join(name))?;
            }
        }
        Ok(())
    }

    fn documents(&self) -> Result<()> {
        let workspace = paths::workspace();
        for name in ["README.md", "ARCHITECTURE.md"] {
            copy(&workspace.join(name), &self.folder.join(name))?;
        }
        // Debian has it packed, and under this name.
        let changes = fs::read(workspace.join("CHANGELOG.md"))?;
        let packed = File::create(self.folder.join("changelog.gz"))?;
        let mut packed = GzEncoder::new(packed, Compression::best());
        packed.write_all(&changes)?;
        packed.finish()?;
        copy_all(&workspace.join("docs"), &self.folder.join("docs"))
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
