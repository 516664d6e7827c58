//! The memory of a process.

use std::fs;

use anyhow::{Context, Result};

/// The most that a process had in memory at once, in KiB.
pub fn peak_kib(pid: u32) -> Result<u64> {
    kib(pid, "VmHWM:")
}

/// A size in proc(5), status.
pub fn kib(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let size = line.with_context(|| format!("no {name}"))?;
    Ok(size.trim().trim_end_matches(" kB").parse()?)
}
