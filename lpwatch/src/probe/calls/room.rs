//! How many functions can be counted on this host, and on how many CPUs.

use std::fs;

use lpwatch_common::calls::SLOTS;
use rustix::process::{Resource, getrlimit};

use crate::probe::ProbeError;

use super::{fail, failed};

/// Open files left for everything but counters.
const FILES_FOR_ALL_ELSE: u64 = 200;

/// Open files that a counter takes: its link (a kprobe's has two), its program.
const FILES_EACH: u64 = 3;

/// The number of possible CPUs: the largest CPU number plus one.
///
/// # Errors
/// [`ProbeError`] if sysfs does not show it.
pub(in crate::probe) fn cpus() -> Result<u32, ProbeError> {
    const POSSIBLE: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(POSSIBLE).map_err(|error| fail(&error))?;
    let last = text.trim().rsplit([',', '-']).next().unwrap_or_default();
    let last: u32 = last
        .parse()
        .map_err(|_| failed(format!("{POSSIBLE} contains \"{}\"", text.trim())))?;
    Ok(last.saturating_add(1))
}

/// As many as there are slots, or as the limit of open files allows: each takes
/// some files, and some are left for everything else.
pub(super) fn most_counters() -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = files.saturating_sub(FILES_FOR_ALL_ELSE);
    SLOTS.min(u32::try_from(files / FILES_EACH).unwrap_or(SLOTS))
}
