//! What a host offers for watching live patches, as plain facts: what is built
//! in, switched on, readable and permitted.
//!
//! Nothing is judged here.

use std::{collections::BTreeSet, fs, io, path::Path};

use super::{Roots, config::KernelConfig, host::Host, kallsyms, kmsg::LogReader};

mod rights;

pub use rights::{Capability, Memlock, Rights};

/// The result of reading one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T = String> {
    Found(T),
    Absent,
    /// This user may not.
    Forbidden,
    Failed(String),
    /// A recorded tree does not contain it.
    NotRecorded,
}

impl<T> Reading<T> {
    /// What was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Absent | Self::Forbidden | Self::Failed(_) | Self::NotRecorded => None,
        }
    }

    fn of_error(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The requested symbols of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedSymbols {
    /// Those that exist.
    pub found: BTreeSet<String>,
    /// Parts that the compiler split off the requested ones: `klp_x.part.0`.
    pub parts: BTreeSet<String>,
    /// Every address is shown as 0.
    pub hidden: bool,
}

/// All that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    pub host: Host,
    pub config: Option<KernelConfig>,
    /// Whether `<sysfs>/kernel/livepatch` is there.
    pub livepatch: bool,
    /// The size of `<sysfs>/kernel/btf/vmlinux`, in bytes.
    pub btf: Reading<u64>,
    pub symbols: Reading<OfferedSymbols>,
    pub settings: Settings,
    /// Whether the kernel accepts kprobes from perf (kernel/events/core.c).
    pub kprobe_events: bool,
    /// `1`: probes are armed; `0`: all are switched off (kernel/kprobes.c).
    pub kprobes_armed: Reading,
    /// The events defined in tracefs.
    pub tracefs: Reading,
    /// Whether the kernel log can be read.
    pub log: Reading<()>,
    /// The `patch_state` of the first process, which is root's.
    pub patch_state: Reading,
    /// Possible CPUs: counters take memory for each.
    pub cpus: Option<u32>,
    pub rights: Option<Rights>,
}

/// Settings below `<procfs>/sys`, and the lockdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub ftrace_enabled: Reading,
    pub kptr_restrict: Reading,
    pub dmesg_restrict: Reading,
    pub perf_event_paranoid: Reading,
    pub unprivileged_bpf_disabled: Reading,
    pub bpf_jit_enable: Reading,
    /// `none`, `integrity` or `confidentiality` (security/lockdown).
    pub lockdown: Reading,
}

impl Offers {
    /// Reads everything below `roots`; `names` are the symbols to look for.
    #[must_use]
    pub fn read(roots: &Roots, names: &[&str]) -> Self {
        let host = Host::of(roots);
        let sysfs = |path: &str| roots.sysfs.join(path);
        let tracefs = text(&sysfs("kernel/tracing/kprobe_events"));
        Self {
            config: KernelConfig::read(roots, &host.release),
            host,
            livepatch: sysfs("kernel/livepatch").is_dir(),
            btf: size(&sysfs("kernel/btf/vmlinux")),
            symbols: symbols(roots, names),
            settings: Settings::read(roots),
            kprobe_events: sysfs("bus/event_source/devices/kprobe").exists(),
            kprobes_armed: text(&sysfs("kernel/debug/kprobes/enabled")),
            tracefs: match tracefs {
                Reading::Absent => text(&sysfs("kernel/debug/tracing/kprobe_events")),
                read => read,
            },
            log: log(roots),
            patch_state: text(&roots.procfs.join("1/patch_state")),
            cpus: text(&sysfs("devices/system/cpu/possible"))
                .found()
                .and_then(|list| count(list)),
            rights: roots.is_live().then(Rights::own),
        }
    }

    /// Whether the kernel has this symbol; `None` if unknown.
    #[must_use]
    pub fn has_symbol(&self, name: &str) -> Option<bool> {
        Some(self.symbols.found()?.found.contains(name))
    }

    /// Whether not even root may trace or read the kernel's memory.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        let level = self.settings.lockdown.found();
        level.is_some_and(|level| level == "confidentiality")
    }

    /// Whether this option (without `CONFIG_`) is set; `None` if the
    /// configuration is unknown.
    #[must_use]
    pub fn is_configured(&self, option: &str) -> Option<bool> {
        Some(self.config.as_ref()?.has(option))
    }
}

impl Settings {
    #[must_use]
    pub fn read(roots: &Roots) -> Self {
        let setting = |name: &str| text(&roots.procfs.join("sys").join(name));
        let lockdown = text(&roots.sysfs.join("kernel/security/lockdown"));
        Self {
            ftrace_enabled: setting("kernel/ftrace_enabled"),
            kptr_restrict: setting("kernel/kptr_restrict"),
            dmesg_restrict: setting("kernel/dmesg_restrict"),
            perf_event_paranoid: setting("kernel/perf_event_paranoid"),
            unprivileged_bpf_disabled: setting("kernel/unprivileged_bpf_disabled"),
            bpf_jit_enable: setting("net/core/bpf_jit_enable"),
            lockdown: match lockdown {
                Reading::Found(levels) => chosen(&levels),
                other => other,
            },
        }
    }
}

/// A small file's text, without the white space around it.
pub(crate) fn text(path: &Path) -> Reading {
    match fs::read(path) {
        Ok(bytes) => Reading::Found(String::from_utf8_lossy(&bytes).trim().to_owned()),
        Err(error) => Reading::of_error(&error),
    }
}

/// The size of a file that can be opened.
fn size(path: &Path) -> Reading<u64> {
    let size = fs::File::open(path).and_then(|file| file.metadata());
    match size {
        Ok(metadata) => Reading::Found(metadata.len()),
        Err(error) => Reading::of_error(&error),
    }
}

/// The level in brackets: `none [integrity] confidentiality`.
pub(super) fn chosen(levels: &str) -> Reading {
    levels
        .split_ascii_whitespace()
        .find_map(|level| level.strip_prefix('[')?.strip_suffix(']'))
        .map_or_else(
            || Reading::Failed(format!("it contains `{levels}`")),
            |level| Reading::Found(level.to_owned()),
        )
}

/// The number of CPUs in a list such as `0-3,8`; `None` if it is not a list.
fn count(list: &str) -> Option<u32> {
    let mut sum = 0_u32;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum = sum.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(sum)
}

fn symbols(roots: &Roots, names: &[&str]) -> Reading<OfferedSymbols> {
    match kallsyms::find_names(roots, names) {
        Ok(found) => Reading::Found(OfferedSymbols {
            hidden: found.hidden,
            found: found.addresses.into_keys().collect(),
            parts: found.copies.into_values().flatten().collect(),
        }),
        Err(error) if error.is_permission() => Reading::Forbidden,
        Err(_) if !roots.procfs.join("kallsyms").exists() => Reading::Absent,
        Err(error) => Reading::Failed(error.to_string()),
    }
}

fn log(roots: &Roots) -> Reading<()> {
    if !roots.is_live() {
        return Reading::NotRecorded;
    }
    match LogReader::open_from_start() {
        Ok(_) => Reading::Found(()),
        Err(error) if error.is_permission() => Reading::Forbidden,
        Err(error) => Reading::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
