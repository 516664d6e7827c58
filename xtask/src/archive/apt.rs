//! One suite of the archive, asked through apt with a state of its own.
//!
//! apt checks the signatures; nothing here trusts the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Mirrors;
use crate::{paths, process};

pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A suite whose package lists have been fetched.
pub struct Suite {
    state: PathBuf,
    may_be_old: bool,
}

/// A mirror may lag behind sid; what it has is still signed.
pub fn may_be_old(suite: &str) -> bool {
    suite == "sid"
}

/// What the archive says about a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Names only: alternatives are cut to the first.
    #[serde(skip)]
    pub depends: Vec<String>,
}

impl Suite {
    /// Fetches the package lists of `name`.
    pub fn open(mirrors: &Mirrors, name: &str) -> Result<Self> {
        let state = paths::target("apt").join(name);
        for folder in ["state/lists/partial", "cache/archives/partial", "debs"] {
            fs::create_dir_all(state.join(folder))
                .with_context(|| format!("cannot create {folder} in {}", state.display()))?;
        }
        fs::write(state.join("status"), "")?;
        if !Path::new(KEYRING).exists() {
            bail!(
                "{KEYRING} is missing, and packages are not fetched unchecked: install the \
                 package debian-archive-keyring"
            );
        }
        let uri = mirrors.for_suite(name);
        fs::write(
            state.join("sources.list"),
            format!("deb [arch=amd64 signed-by={KEYRING}] {uri} {name} main\n"),
        )?;
        let suite = Self {
            state,
            may_be_old: may_be_old(name),
        };
        process::run(suite.tool("apt-get", None).args(["-q", "update"]))
            .with_context(|| format!("the suite {name} is not to be had from {uri}"))?;
        Ok(suite)
    }

    /// The package's entry, if the suite has it.
    pub fn show(&self, package: &str) -> Option<Package> {
        let mut apt = self.tool("apt-cache", None);
        process::ask(apt.args(["show", "--no-all-versions", package]))
            .and_then(|text| parse_entry(&text))
    }

    /// `root` and everything of the kernel's own packages it needs, followed
    /// where `follow` says so; and the names of what else it depends on.
    pub fn closure(
        &self,
        root: &str,
        follow: impl Fn(&str) -> bool,
    ) -> Result<(Vec<Package>, BTreeSet<String>)> {
        let mut wanted = vec![root.to_owned()];
        let mut found: Vec<Package> = Vec::new();
        let mut others = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            if found.iter().any(|package| package.name == name) {
                continue;
            }
            let package = self
                .show(&name)
                .with_context(|| format!("the package {name} is not in the archive"))?;
            for dependency in &package.depends {
                if follow(dependency) {
                    wanted.push(dependency.clone());
                } else {
                    others.insert(dependency.clone());
                }
            }
            found.push(package);
        }
        Ok((found, others))
    }

    /// Downloads exactly these packages and returns their files.
    pub fn download(&self, packages: &[Package]) -> Result<Vec<PathBuf>> {
        let folder = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(self.debs())?;
        let mut apt = self.tool("apt-get", None);
        apt.current_dir(folder.path()).args(["-q", "download"]);
        apt.args(
            packages
                .iter()
                .map(|package| format!("{}={}", package.name, package.version)),
        );
        process::run(&mut apt)?;
        // Only what arrived whole is moved to where others look.
        let mut files = Vec::new();
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let file = self.debs().join(entry.file_name());
            fs::rename(entry.path(), &file)?;
            files.push(file);
        }
        if files.len() != packages.len() {
            bail!(
                "asked apt for {} packages, got {}",
                packages.len(),
                files.len()
            );
        }
        Ok(files)
    }

    /// Downloads what is missing in `chroot` for `packages` to be installed
    /// there, and returns the files; none if nothing is missing.
    pub fn download_missing(&self, chroot: &Path, packages: &[String]) -> Result<Vec<PathBuf>> {
        let archives = self.state.join("cache/archives");
        clear_debs(&archives)?;
        let status = chroot.join("var/lib/dpkg/status");
        let mut apt = self.tool("apt-get", Some(&status));
        apt.args([
            "-q",
            "-y",
            "--no-install-recommends",
            "--download-only",
            "install",
        ]);
        process::run(apt.args(packages))?;
        debs_in(&archives)
    }

    fn debs(&self) -> PathBuf {
        self.state.join("debs")
    }

    /// apt-get or apt-cache, in this suite's state; `status` is the dpkg
    /// database packages are resolved against, an empty one by default.
    fn tool(&self, program: &str, status: Option<&Path>) -> Command {
        let state = self.state.display();
        let own_status = self.state.join("status");
        let mut command = Command::new(program);
        command
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        for option in [
            format!("Dir::State={state}/state"),
            format!("Dir::Cache={state}/cache"),
            format!("Dir::Etc::sourcelist={state}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!(
                "Dir::State::status={}",
                status.unwrap_or(&own_status).display()
            ),
            "APT::Architecture=amd64".to_owned(),
            format!("Acquire::Check-Valid-Until={}", !self.may_be_old),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // The state may be where the user _apt may not read.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// Unpacks a package's files, and nothing else of it, below `folder`.
pub fn unpack(deb: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    process::run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(folder))?;
    Ok(())
}

fn debs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            files.push(path);
        }
    }
    Ok(files)
}

fn clear_debs(folder: &Path) -> Result<()> {
    for file in debs_in(folder)? {
        fs::remove_file(file)?;
    }
    Ok(())
}

fn parse_entry(text: &str) -> Option<Package> {
    let stanza = text.split("\n\n").next()?;
    let field = |name: &str| {
        stanza
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let depends = field("Depends").unwrap_or_default();
    let before = field("Pre-Depends").unwrap_or_default();
    let names = |list: &str| list.split(',').filter_map(first_name).collect::<Vec<_>>();
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        depends: [names(&before), names(&depends)].concat(),
    })
}

/// `gcc-12:any (>= 12) | gcc` → `gcc-12`
fn first_name(dependency: &str) -> Option<String> {
    let name = dependency.split('|').next()?.split_whitespace().next()?;
    Some(name.split(':').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read() {
        let text = "Package: linux-headers-x\nVersion: 1-2\nPre-Depends: base (>= 4)\n\
                    Depends: gcc-12:any, linux-kbuild-x (= 1-2), a (>= 1) | b\n\nPackage: other\n";
        let package = parse_entry(text).unwrap();
        assert_eq!(package.name, "linux-headers-x");
        assert_eq!(package.version, "1-2");
        assert_eq!(package.depends, ["base", "gcc-12", "linux-kbuild-x", "a"]);
    }
}
