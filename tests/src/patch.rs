//! Livepatches: in, out, reversed, and what sysfs says of them.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::guest;
use crate::tasks::{self, Code};

const LIVEPATCH: &str = "/sys/kernel/livepatch";

/// A livepatch that is taken out when its scenario ends, however it ends.
pub struct Patch {
    pub name: String,
}

impl Patch {
    /// Loads the module, which begins the transition.
    pub fn load(name: &str) -> Result<Self> {
        guest::load(name)?;
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// [`Patch::load`] with parameters of the module, and waits for the transition's
    /// end.
    pub fn load_completely_with(name: &str, parameters: &CStr) -> Result<Self> {
        guest::load_with(name, parameters)?;
        let patch = Self {
            name: name.to_owned(),
        };
        patch.wait_complete()?;
        Ok(patch)
    }

    /// [`Patch::load`], and waits for the transition's end.
    pub fn load_completely(name: &str) -> Result<Self> {
        let patch = Self::load(name)?;
        patch.wait_complete()?;
        Ok(patch)
    }

    pub fn wait_complete(&self) -> Result<()> {
        guest::wait_until("the transition completes", || {
            Ok(transition(&self.name)? != Some(true))
        })
        .with_context(|| format!("patch {}", self.name))
    }

    /// Waits until exactly that many tasks are left on that code.
    pub fn wait_left(&self, code: Code, number: usize) -> Result<BTreeSet<i32>> {
        let what = format!("{}: {number} tasks are left", self.name);
        guest::wait_for(&what, || {
            let left = tasks::running(code);
            let open = transition(&self.name)? == Some(true);
            ensure!(
                open,
                "the transition of {} ended, with none left",
                self.name
            );
            Ok((left.len() == number).then_some(left))
        })
    }

    /// Writes 0 to `enabled`: a disable, or in mid-transition a reversal.
    pub fn disable(&self) -> Result<()> {
        self.write("enabled", "0")
    }

    /// Writes 1 to `enabled`: possible only while it is being disabled.
    pub fn enable(&self) -> Result<()> {
        self.write("enabled", "1")
    }

    pub fn force(&self) -> Result<()> {
        self.write("force", "1")
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = folder(&self.name).join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }

    /// Waits until the kernel has forgotten the patch, which it does once it
    /// is disabled and no task runs its code.
    pub fn wait_gone(&self) -> Result<()> {
        guest::wait_until("the patch is gone from sysfs", || {
            Ok(!folder(&self.name).exists())
        })
        .with_context(|| format!("patch {}", self.name))
    }

    /// Disables and unloads.
    pub fn remove(self) -> Result<()> {
        // Dropping it then finds nothing left to do.
        remove(&self.name)
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("    left behind: {error:#}");
        }
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(LIVEPATCH).join(name)
}

/// Whether sysfs says that the patch is in transition; `None` once it is gone.
pub fn transition(name: &str) -> Result<Option<bool>> {
    flag(name, "transition")
}

/// Whether sysfs says that the patch is enabled; `None` once it is gone.
pub fn enabled(name: &str) -> Result<Option<bool>> {
    flag(name, "enabled")
}

/// Whether the kernel says that this patch replaces all others; `None` where
/// it has no such file (before 6.11).
pub fn replaces(name: &str) -> Result<Option<bool>> {
    flag(name, "replace")
}

/// The place of the patch among all, where the kernel tells it (from 6.14).
pub fn stack_order(name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder(name).join("stack_order")).ok()?;
    text.trim().parse().ok()
}

fn flag(name: &str, file: &str) -> Result<Option<bool>> {
    let path = folder(name).join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim() == "1")),
        // The folder may go while it is read: ENODEV is how sysfs says so.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn remove(name: &str) -> Result<()> {
    if !guest::is_loaded(name) {
        return Ok(());
    }
    if enabled(name)? == Some(true)
        && let Err(error) = fs::write(folder(name).join("enabled"), "0")
    {
        eprintln!("    disabling {name}: {error}");
    }
    guest::wait_until("the patch is disabled", || Ok(!folder(name).exists()))
        .with_context(|| format!("patch {name}"))?;
    guest::unload(name)
}

/// Removes every test module that is still loaded, patches first.
pub fn sweep() -> Result<()> {
    let mut left = guest::names_in(Path::new("/sys/module"));
    left.retain(|name| name.starts_with("lp_") || name.starts_with("lpwatch_"));
    // "lp_" sorts before "lpwatch_": what patches goes before what is patched.
    left.sort();
    for name in left.iter().filter(|name| guest::is_loaded(name)) {
        eprintln!("    sweeping up {name}");
        remove(name)?;
    }
    Ok(())
}
