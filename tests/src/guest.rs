//! The guest itself: waiting, modules in and out, which kernel this is.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};

/// How long anything may take that should happen soon. Long, because the
/// guests are emulated: only a thing that never happens should run into it.
pub const SOON: Duration = Duration::from_mins(2);

/// Between two looks at what is waited for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// The series of the running kernel, as `cargo xtask` names it: `6.12`.
pub fn kernel_series() -> Result<String> {
    env::var("LPWATCH_KERNEL_SERIES")
        .context("LPWATCH_KERNEL_SERIES is not set: is this a guest of `cargo xtask`?")
}

/// The kernel in which long work is done whose outcome is no matter of kernels.
const LONG_WORK_IN: &str = "6.12";

/// Whether long work is done in this kernel: in one of them, or in all where
/// `LPWATCH_WHOLE` is set.
pub fn does_long_work() -> Result<bool> {
    Ok(env::var_os("LPWATCH_WHOLE").is_some() || kernel_series()? == LONG_WORK_IN)
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait_at_most(SOON, what, ask)
}

/// [`wait_for`], less patiently.
pub fn wait_at_most<T>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    // What comes at once is seen at once; asking has its price in a guest.
    let mut pause = SHORTEST_PAUSE;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain: {what}", patience.as_secs());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// [`wait_for`], where the answer is yes or no.
pub fn wait_until(what: &str, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_for(what, || Ok(ask()?.then_some(())))
}

pub fn module_file(name: &str) -> PathBuf {
    let folder = env::var_os("LPWATCH_MODULES").unwrap_or_else(|| "/modules".into());
    Path::new(&folder).join(format!("{name}.ko"))
}

/// Loads a test module once. `insmod` of busybox would try a second time after
/// a refusal, and what lpwatch says of one refusal could not be told.
pub fn load(name: &str) -> Result<()> {
    load_with(name, c"")
}

/// [`load`], with parameters as `insmod` takes them.
pub fn load_with(name: &str, parameters: &CStr) -> Result<()> {
    load_file(&module_file(name), parameters)
}

/// [`load_with`], from that file.
pub fn load_file(path: &Path, parameters: &CStr) -> Result<()> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    finit_module(&file, parameters, ModuleInitFlags::empty())
        .with_context(|| format!("loading {}", path.display()))?;
    Ok(())
}

/// Loads a module that the kernel is expected to refuse, and gives its reason.
pub fn load_refused(name: &str) -> Result<Errno> {
    match load(name) {
        Ok(()) => {
            unload(name)?;
            bail!("the kernel took {name}, which it should have refused")
        }
        Err(error) => match error.downcast_ref::<Errno>() {
            Some(errno) => Ok(*errno),
            None => Err(error),
        },
    }
}

pub fn is_loaded(name: &str) -> bool {
    Path::new("/sys/module").join(name).join("refcnt").exists()
}

/// Unloads a module. The kernel may hold it for a moment longer than its
/// livepatch shows, so a refusal is not final at once.
pub fn unload(name: &str) -> Result<()> {
    let c_name = CString::new(name)?;
    let mut last = None;
    let waited = wait_until("the kernel lets go of the module", || {
        match delete_module(&c_name, DeleteModuleFlags::O_NONBLOCK) {
            Ok(()) | Err(Errno::ENOENT) => Ok(true),
            Err(errno) => {
                last = Some(errno);
                Ok(false)
            }
        }
    });
    waited.with_context(|| format!("unloading {name} ({last:?})"))
}

/// A module that goes when its scenario ends.
pub struct Module {
    name: &'static str,
}

impl Module {
    pub fn load(name: &'static str) -> Result<Self> {
        Self::load_with(name, c"")
    }

    pub fn load_with(name: &'static str, parameters: &CStr) -> Result<Self> {
        load_with(name, parameters)?;
        Ok(Self { name })
    }

    pub fn unload(self) -> Result<()> {
        // Dropping it finds nothing left to do.
        unload(self.name)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if is_loaded(self.name)
            && let Err(error) = unload(self.name)
        {
            eprintln!("    left behind: {error:#}");
        }
    }
}

/// Names of the files in a folder; none if it is not there.
pub fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
