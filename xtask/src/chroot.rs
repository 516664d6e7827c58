//! Small Debian systems under `target/chroots/`, to build kernel modules in.
//!
//! Every command in one runs in a mount namespace of its own, so whatever it
//! mounts is gone with it, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::archive::{Mirrors, Suite, apt::may_be_old};
use crate::kernels::Cached;
use crate::lock::Lock;
use crate::{paths, process, setup, ui};

/// A system to build in.
pub struct Chroot {
    root: PathBuf,
}

impl Chroot {
    /// A chroot with everything that building for `kernel` takes.
    pub fn for_modules(kernel: &Cached) -> Result<Self> {
        setup::for_modules()?;
        let all = paths::target("chroots");
        let base = kernel.manifest.base.as_str();
        let _lock = Lock::acquire(&all, base)?;
        let chroot = Self {
            root: all.join(base),
        };
        if chroot.has(kernel) {
            return Ok(chroot);
        }
        let is_new = !chroot.root.exists();
        if is_new {
            chroot.bootstrap(base)?;
        }
        let prepared = chroot.prepare(kernel);
        if prepared.is_ok() || is_new {
            return prepared.map(|()| chroot);
        }
        // An old chroot of a suite that moves may not take new packages.
        ui::note(format!("the chroot {base} is out of date; making it anew"));
        remove(&chroot.root)?;
        chroot.bootstrap(base)?;
        chroot.prepare(kernel)?;
        Ok(chroot)
    }

    /// [`Self::for_modules`], with these packages in it.
    pub fn with_packages(kernel: &Cached, packages: &[&str]) -> Result<Self> {
        let chroot = Self::for_modules(kernel)?;
        let base = kernel.manifest.base.as_str();
        let _lock = Lock::acquire(&paths::target("chroots"), base)?;
        let step = ui::Step::start(format!("adding {} to {base}", packages.join(", ")));
        let suite = Suite::open(&Mirrors::of_this_machine()?, base)?;
        let names: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
        let debs = suite.download_missing(&chroot.root, &names)?;
        chroot.install(&debs)?;
        step.done(format!("{} packages", debs.len()));
        Ok(chroot)
    }

    /// Where it is on this machine.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A command in the chroot, with /proc there (objtool of 7.x reads it).
    pub fn command(&self, program: &str) -> Command {
        const INSIDE: &str = r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#;
        let mut command = in_own_mounts();
        command
            .args(["sh", "-c", INSIDE])
            .arg(&self.root)
            .arg(program);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Puts `files` of the folder `from` into an otherwise empty folder `below`.
    pub fn put(&self, below: &str, from: &Path, files: &[PathBuf]) -> Result<()> {
        let folder = self.root.join(below);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for file in files {
            let target = folder.join(file);
            fs::create_dir_all(target.parent().unwrap_or(&folder))?;
            fs::copy(from.join(file), &target)
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        Ok(())
    }

    fn has(&self, kernel: &Cached) -> bool {
        self.marker(kernel).is_file()
    }

    fn marker(&self, kernel: &Cached) -> PathBuf {
        self.root
            .join(format!("var/lib/xtask-{}", kernel.manifest.release))
    }

    /// Makes the chroot, under another name until it is whole.
    fn bootstrap(&self, base: &str) -> Result<()> {
        let step = ui::Step::start(format!("making a chroot of {base}"));
        let mirrors = Mirrors::of_this_machine()?;
        make(base, "gcc,make", &mirrors, &self.root, base)?;
        step.done("made");
        Ok(())
    }

    /// Adds compiler, libraries and headers for `kernel`.
    fn prepare(&self, kernel: &Cached) -> Result<()> {
        let manifest = &kernel.manifest;
        let step = ui::Step::start(format!("adding the headers of {}", manifest.release));
        let suite = Suite::open(&Mirrors::of_this_machine()?, &manifest.base)?;
        let debs = suite.download_missing(&self.root, &manifest.build_depends)?;
        self.install(&debs)
            .context("cannot install what building modules takes")?;
        let unpacked = tempfile::tempdir_in(&self.root)?;
        for entry in fs::read_dir(kernel.header_packages())? {
            crate::archive::apt::unpack(&entry?.path(), unpacked.path())?;
        }
        // Only usr/: /lib is a link to usr/lib there, and must stay one.
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .arg(unpacked.path().join("usr/."))
            .arg(self.root.join("usr"));
        process::run(&mut copy)?;
        fs::write(self.marker(kernel), "")?;
        step.done("added");
        Ok(())
    }

    /// Installs packages, which this removes from where they are.
    pub fn install(&self, debs: &[PathBuf]) -> Result<()> {
        if debs.is_empty() {
            return Ok(());
        }
        let folder = self.root.join("var/cache/xtask");
        fs::create_dir_all(&folder)?;
        let mut dpkg = self.command("dpkg");
        dpkg.arg("--install");
        for deb in debs {
            let name = deb.file_name().context("a package without a name")?;
            fs::rename(deb, folder.join(name))?;
            dpkg.arg(Path::new("/var/cache/xtask").join(name));
        }
        process::run(&mut dpkg)?;
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}

/// Makes a minimal system of a suite in `root`, under another name until it is
/// whole; `name` tells the logs apart.
pub fn make(suite: &str, packages: &str, mirrors: &Mirrors, root: &Path, name: &str) -> Result<()> {
    let unfinished = root.with_extension("unfinished");
    remove(&unfinished)?;
    let Some(program) = process::which("mmdebstrap") else {
        bail!("mmdebstrap is missing; `cargo xtask setup` installs it");
    };
    let mut bootstrap = in_own_mounts();
    bootstrap
        .arg(program)
        .args(["--mode=root", "--variant=minbase", "--format=directory"])
        .args(["--arch=amd64", &format!("--include={packages}")])
        .arg("--aptopt=Acquire::Languages \"none\"")
        .arg(format!(
            "--aptopt=Acquire::Check-Valid-Until \"{}\"",
            !may_be_old(suite)
        ))
        .arg(suite)
        .arg(&unfinished)
        .arg(mirrors.for_suite(suite));
    let log = paths::target("logs").join(format!("chroot-{name}.log"));
    process::run_logged(&mut bootstrap, &log)
        .with_context(|| format!("cannot make a chroot of {suite}"))?;
    fs::rename(&unfinished, root)?;
    Ok(())
}

/// What follows runs with mounts that nobody else sees.
pub fn in_own_mounts() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

/// Removes a chroot, and nothing that might still be mounted in it.
pub fn remove(root: &Path) -> Result<()> {
    process::run(
        Command::new("rm")
            .args(["-rf", "--one-file-system", "--"])
            .arg(root),
    )?;
    Ok(())
}
