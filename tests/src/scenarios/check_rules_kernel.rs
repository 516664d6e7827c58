//! `lpwatch check` and what this kernel asks of a module, in real kernels: its
//! settings, the build it is for, and a signature.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

use super::calls_effect::Off;
use crate::guest;
use crate::patch::Patch;
use crate::predictions::{Report, SHORT, check, check_file, put_to_the_test};
use crate::trial::{Skipped, Trial};

const RULE: &str = "kernel";
const PATCH: &str = "lp_cmdline";

/// With ftrace switched off no patch is taken.
pub fn ftrace(trial: &mut Trial) -> Result<()> {
    let off = Off::switch()?;
    let report = check(PATCH, SHORT)?;
    let words = ["ftrace", "kernel.ftrace_enabled is 0"];
    trial.say(&report.refusing(RULE, Errno::EBUSY, &words)?.text);
    put_to_the_test(PATCH, &report)?;
    drop(off);
    let report = check(PATCH, SHORT)?;
    ensure!(!report.found(RULE, "warning"), "{report:?}");
    put_to_the_test(PATCH, &report)?;
    Ok(())
}

/// Builds for another kernel, another configuration and another processor.
pub fn builds(trial: &mut Trial) -> Result<()> {
    let tree = Tree::make()?;
    let own = check(PATCH, SHORT)?;
    ensure!(!own.found(RULE, "warning"), "{own:?}");

    let options = altered(|bytes| swap(bytes, b" SMP ", b" SMX "))?;
    let words = ["another configuration", " SMX "];
    refused(trial, &options, &words)?;

    // ELF's e_machine: arm64.
    let machine = altered(|bytes| {
        bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
        Ok(())
    })?;
    refused(trial, &machine, &["aarch64", "x86_64"])?;

    let release = altered(|bytes| {
        let digit = position(bytes, b"vermagic=")? + b"vermagic=".len();
        bytes[digit] = if bytes[digit] == b'9' { b'8' } else { b'9' };
        Ok(())
    })?;
    let report = check_file(&release.path, SHORT)?;
    let found = report.finding(RULE, "danger", &["is built for"])?;
    trial.say(&found.text);
    let loaded = guest::load_file(Path::new(&release.path), c"");
    if found.text.contains("may accept it anyway") {
        loaded.context("with symbol versions the release is not compared")?;
        Patch {
            name: PATCH.to_owned(),
        }
        .remove()?;
    } else {
        ensure!(loaded.is_err(), "it was taken: {report:?}");
    }
    drop(tree);
    Ok(())
}

/// The check says so, and the kernel does so (ENOEXEC).
fn refused(trial: &Trial, file: &Altered, words: &[&str]) -> Result<()> {
    let report = check_file(&file.path, SHORT)?;
    trial.say(&report.refusing(RULE, Errno::ENOEXEC, words)?.text);
    let Err(error) = guest::load_file(Path::new(&file.path), c"") else {
        drop(Patch {
            name: PATCH.to_owned(),
        });
        bail!("the kernel took it: {report:?}");
    };
    let errno = error.downcast_ref::<Errno>();
    ensure!(errno == Some(&Errno::ENOEXEC), "the kernel said {error:#}");
    Ok(())
}

/// A copy of the easy patch with some bytes changed.
struct Altered {
    _folder: TempDir,
    path: String,
}

fn altered(change: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Altered> {
    let folder = tempfile::tempdir()?;
    let mut bytes = fs::read(guest::module_file(PATCH))?;
    change(&mut bytes)?;
    let path = folder.path().join(format!("{PATCH}.ko"));
    fs::write(&path, bytes)?;
    Ok(Altered {
        path: path.display().to_string(),
        _folder: folder,
    })
}

fn swap(bytes: &mut [u8], from: &[u8], to: &[u8]) -> Result<()> {
    let magic = position(bytes, b"vermagic=")?;
    let at = magic + position(&bytes[magic..], from)?;
    bytes[at..at + to.len()].copy_from_slice(to);
    Ok(())
}

fn position(bytes: &[u8], wanted: &[u8]) -> Result<usize> {
    let mut windows = bytes.windows(wanted.len());
    let found = windows.position(|window| window == wanted);
    found.with_context(|| format!("no {:?}", String::from_utf8_lossy(wanted)))
}

/// `/lib/modules/<release>` with one module, as the kernel's own: guests have
/// none. Goes when it is dropped.
pub(super) struct Tree {
    folder: PathBuf,
}

impl Tree {
    pub(super) fn make() -> Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let folder = Path::new("/lib/modules").join(release.trim());
        ensure!(!folder.exists(), "{} is there", folder.display());
        let tree = Self { folder };
        let kernel = tree.folder.join("kernel");
        fs::create_dir_all(&kernel)?;
        let module = "lpwatch_target";
        let file = kernel.join(format!("{module}.ko"));
        fs::copy(guest::module_file(module), file)?;
        let list = format!("kernel/{module}.ko:\n");
        fs::write(tree.folder.join("modules.dep"), list)?;
        Ok(tree)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("    left behind: {}: {error}", self.folder.display());
        }
    }
}

const SECURITYFS: &str = "/sys/kernel/security";
const SIG_ENFORCE: &str = "/sys/module/module/parameters/sig_enforce";

/// A kernel that asks for a signature: locked down, and by its own setting.
/// Neither can be taken back.
pub fn signature(trial: &mut Trial) -> Result<()> {
    let lockdown = Path::new(SECURITYFS).join("lockdown");
    if !lockdown.exists() {
        let (kind, none) = (Some("securityfs"), None::<&str>);
        mount(Some("none"), SECURITYFS, kind, MsFlags::empty(), none)?;
    }
    if !lockdown.exists() || !Path::new(SIG_ENFORCE).exists() {
        return Err(Skipped("this kernel has no lockdown or no signatures".to_owned()).into());
    }
    let report = check(PATCH, SHORT)?;
    ensure!(!speaks_of_signatures(&report), "{report:?}");
    put_to_the_test(PATCH, &report)?;

    fs::write(&lockdown, "integrity").context("locking down")?;
    asked_for(trial, Errno::EPERM, "locked down (integrity)")?;
    fs::write(SIG_ENFORCE, "1").context("asking for signatures")?;
    asked_for(trial, Errno::EKEYREJECTED, "module.sig_enforce is on")
}

fn speaks_of_signatures(report: &Report) -> bool {
    let mut found = report.findings.iter();
    found.any(|found| found.text.contains("signature") || found.text.contains("signed"))
}

fn asked_for(trial: &Trial, errno: Errno, why: &str) -> Result<()> {
    let report = check(PATCH, SHORT)?;
    let words = ["not signed", why];
    trial.say(&report.refusing(RULE, errno, &words)?.text);
    for note in &report.notes {
        trial.say(&format!("note: {note}"));
    }
    let said = guest::load_refused(PATCH)?;
    ensure!(said == errno, "the kernel said {said}: {report:?}");
    Ok(())
}
