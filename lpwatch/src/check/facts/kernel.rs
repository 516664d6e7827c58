//! What the kernel is and which modules it accepts.

use std::path::PathBuf;

use crate::kernel::{
    Roots,
    config::KernelConfig,
    ftrace,
    host::Host,
    modules,
    offers::{Reading, Settings, text},
    patch_file::PatchFile,
};

use super::disk::Disk;

/// The most module files to open for the kernel's version magic.
const FILES_MAX: usize = 8;

/// Facts for the rules `kernel` and `busy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// `kernel.ftrace_enabled`.
    pub ftrace_enabled: Option<bool>,
    /// As reported by `uname -m`.
    pub machine: Option<String>,
    /// `CONFIG_STACKTRACE` and `CONFIG_HAVE_RELIABLE_STACKTRACE`.
    pub reliable_stacks: Option<bool>,
    /// `kernel.modules_disabled`: no module can be loaded until the next boot.
    pub modules_disabled: Option<bool>,
    /// Modules need a signature (`module.sig_enforce`).
    pub sig_enforce: Option<bool>,
    /// `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// The version magic that this kernel's modules must have.
    pub vermagic: Option<Vermagic>,
    /// What exists but could not be read: one sentence each, without the full stop.
    pub unread: Vec<String>,
}

/// The version magic of the kernel's own modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vermagic {
    pub text: String,
    /// The module it was read from.
    pub file: PathBuf,
}

impl KernelFacts {
    #[must_use]
    pub fn gather(roots: &Roots, host: &Host, disk: &Disk) -> Self {
        let mut unread = Vec::new();
        let disabled = text(&roots.procfs.join("sys/kernel/modules_disabled"));
        let Settings { lockdown, .. } = Settings::read(roots);
        Self {
            ftrace_enabled: ftrace::is_enabled(roots),
            machine: machine(roots),
            reliable_stacks: KernelConfig::read(roots, &host.release)
                .map(|config| config.has("STACKTRACE") && config.has("HAVE_RELIABLE_STACKTRACE")),
            modules_disabled: known("kernel.modules_disabled", &disabled, &mut unread)
                .map(|value| value == "1"),
            sig_enforce: sig_enforce(roots, &mut unread),
            lockdown: match known("the lockdown", &lockdown, &mut unread) {
                Some(level) => Some(level.to_owned()),
                // securityfs always contains `lsm`.
                None => roots
                    .sysfs
                    .join("kernel/security/lsm")
                    .exists()
                    .then(|| "none".to_owned())
                    .filter(|_| lockdown == Reading::Absent),
            },
            vermagic: vermagic(roots, host, disk),
            unread,
        }
    }
}

/// The value that was read. If it exists and could not be read, the reason goes
/// to `unread`.
fn known<'a>(what: &str, reading: &'a Reading, unread: &mut Vec<String>) -> Option<&'a str> {
    let why = match reading {
        Reading::Found(value) => return Some(value),
        Reading::Absent | Reading::NotRecorded => return None,
        Reading::Forbidden => "it needs root",
        Reading::Failed(why) => why,
    };
    unread.push(format!("{what} could not be read: {why}"));
    None
}

fn sig_enforce(roots: &Roots, unread: &mut Vec<String>) -> Option<bool> {
    let reading = text(&roots.sysfs.join("module/module/parameters/sig_enforce"));
    if let Some(value) = known("module.sig_enforce", &reading, unread) {
        return Some(value == "Y" || value == "1");
    }
    // A kernel without CONFIG_MODULE_SIG does not have it.
    let listed = reading == Reading::Absent && roots.sysfs.join("module").is_dir();
    listed.then_some(false)
}

fn machine(roots: &Roots) -> Option<String> {
    // Since 6.1. Unlike uname, setarch(8) does not change it.
    let arch = text(&roots.procfs.join("sys/kernel/arch"));
    if let Some(arch) = arch.found().filter(|arch| !arch.is_empty()) {
        return Some(arch.clone());
    }
    roots.is_live().then(|| {
        rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned()
    })
}

/// From one of the kernel's own modules, preferably a loaded one.
fn vermagic(roots: &Roots, host: &Host, disk: &Disk) -> Option<Vermagic> {
    let files = disk.modules.as_ref()?;
    let is_loaded = |name: &str| modules::is_loaded(roots, name) == Some(true);
    let loaded = files.in_tree_listed().filter(|(name, _)| is_loaded(name));
    let others = files.in_tree_listed().filter(|(name, _)| !is_loaded(name));
    let mut candidates = loaded.chain(others).take(FILES_MAX);
    candidates.find_map(|(_, file)| {
        let modinfo = PatchFile::read(&file).ok()?.modinfo;
        // Otherwise the folder contains the modules of another kernel.
        if modinfo.kernel_release() != Some(host.release.as_str()) {
            return None;
        }
        let text = modinfo.vermagic?;
        Some(Vermagic { text, file })
    })
}

#[cfg(test)]
mod tests;
