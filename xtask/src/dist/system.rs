//! Small Debian systems with systemd under `target/systems/`, to try the package
//! in: apart from the chroots that modules are built in, which stay as they are.
//!
//! A trial sees the system through an overlay of its own, and what it changes
//! goes when it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::archive::Mirrors;
use crate::chroot::{self, in_own_mounts};
use crate::lock::Lock;
use crate::{paths, setup, ui};

/// A system that is never changed.
pub struct System {
    root: PathBuf,
}

impl System {
    /// The system `name` of a suite with these packages; made where it is not there.
    pub fn get(name: &str, suite: &str, packages: &[&str]) -> Result<Self> {
        setup::for_systems()?;
        let all = paths::target("systems");
        let _lock = Lock::acquire(&all, name)?;
        let root = all.join(name);
        let list = root.join("var/lib/xtask-packages");
        let wanted = packages.join(" ");
        if fs::read_to_string(&list).is_ok_and(|found| found == wanted) {
            return Ok(Self { root });
        }
        let step = ui::Step::start(format!("making a system of {suite} with {wanted}"));
        if root.exists() {
            chroot::remove(&root)?;
        }
        let mirrors = Mirrors::of_this_machine()?;
        chroot::make(suite, &packages.join(","), &mirrors, &root, name)?;
        fs::write(&list, wanted)?;
        step.done("made");
        Ok(Self { root })
    }

    /// A trial of its own in this system.
    pub fn trial(&self) -> Result<Trial> {
        let folder = tempfile::Builder::new()
            .prefix(".trial-")
            .tempdir_in(paths::target("systems"))?;
        for name in ["upper", "work", "root", "shared"] {
            fs::create_dir(folder.path().join(name))?;
        }
        Ok(Trial {
            lower: self.root.clone(),
            folder,
        })
    }
}

/// A system that may be changed; its changes go with it.
pub struct Trial {
    lower: PathBuf,
    folder: TempDir,
}

/// `$0` is the trial's folder, `$1` the system's. The overlay is there for as long
/// as the command runs; what it writes stays in `upper` for the next one. systemd
/// 247 verifies no unit without cgroups.
const INSIDE: &str = r#"
mount -t overlay trial -o "lowerdir=$1,upperdir=$0/upper,workdir=$0/work" "$0/root" &&
mount -t proc proc "$0/root/proc" &&
mount -t sysfs -o ro sysfs "$0/root/sys" &&
mount -t cgroup2 -o ro cgroup2 "$0/root/sys/fs/cgroup" &&
mount -t tmpfs -o size=64m run "$0/root/run" &&
mkdir -p "$0/root/mnt" && mount --bind "$0/shared" "$0/root/mnt" &&
trial=$0 && shift &&
exec "#;

impl Trial {
    /// A command in the system, with /proc there and the trial's files in /mnt.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.mounted(r#"chroot "$trial/root" "$@""#);
        command.arg(program);
        command
    }

    /// A shell's command line in the system.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-ec", line]);
        command
    }

    /// Everything in the system as one tar archive.
    pub fn pack(&self, to: &Path) -> Command {
        let mut command =
            self.mounted(r#"tar --one-file-system --numeric-owner -C "$trial/root" "$@" . "#);
        command.args([
            "--exclude=./mnt/*",
            "--exclude=./var/cache/*",
            "--exclude=./usr/share/doc/*",
        ]);
        command.args([
            "--exclude=./usr/share/locale/*",
            "--exclude=./var/lib/apt/*",
            "-cf",
        ]);
        command.arg(to);
        command
    }

    /// Puts a file into /mnt of the system.
    pub fn put(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(file, self.folder.path().join("shared").join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(format!("/mnt/{}", name.to_string_lossy()))
    }

    fn mounted(&self, line: &str) -> Command {
        let mut command = in_own_mounts();
        command
            .args(["sh", "-c", &format!("{INSIDE}{line}")])
            .arg(self.folder.path())
            .arg(&self.lower);
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}
