//! The BPF objects in the kernel, whoever made them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};

/// Kind, id and name.
pub type Object = (&'static str, u32, String);

/// All programs, maps and links.
pub fn all() -> BTreeSet<Object> {
    let mut objects = BTreeSet::new();
    // Each may go between its listing and its opening: such a one is left out.
    for program in aya::programs::loaded_programs().flatten() {
        let name = program.name_as_str().unwrap_or("?").to_owned();
        objects.insert(("program", program.id(), name));
    }
    for map in aya::maps::loaded_maps().flatten() {
        let name = map.name_as_str().unwrap_or("?").to_owned();
        objects.insert(("map", map.id(), name));
    }
    for link in aya::programs::loaded_links().flatten() {
        objects.insert(("link", link.id(), String::new()));
    }
    objects
}

/// The bytes of the kernel's memory that all programs and maps are charged
/// with.
pub fn bytes() -> Result<u64> {
    let mut sum = 0;
    for program in aya::programs::loaded_programs().flatten() {
        if let Ok(fd) = program.fd() {
            sum += memlock(&fd)?;
        }
    }
    for map in aya::maps::loaded_maps().flatten() {
        if let Ok(fd) = map.fd() {
            sum += memlock(&fd)?;
        }
    }
    Ok(sum)
}

fn memlock(object: &impl AsFd) -> Result<u64> {
    let fd = object.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
    let bytes = line.context("the kernel does not tell what it is charged with")?;
    Ok(bytes.trim().parse()?)
}

/// Attach types, from the kernel's include/uapi/linux/bpf.h.
const TRACE_RAW_TP: u32 = 23;
const TRACE_FENTRY: u32 = 24;
const TRACE_ITER: u32 = 28;

/// What is attached by that process and may stay on the stacks of tasks: all
/// of the kinds fexit, `fmod_ret` and those that came later. The kernel shows
/// the kind of a link to whoever holds it.
pub fn links_on_stacks(pid: u32) -> Result<Vec<String>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let names = fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    let infos = names
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok());
    Ok(infos.filter(|info| may_stay(info)).collect())
}

fn may_stay(fdinfo: &str) -> bool {
    let kind = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("attach_type:"));
    kind.is_some_and(|kind| {
        let harmless = [TRACE_RAW_TP, TRACE_FENTRY, TRACE_ITER];
        kind.trim()
            .parse()
            .map_or(true, |kind| !harmless.contains(&kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_programs_are_told_from_entry_programs() {
        let info = |kind: u32| format!("pos:\t0\nlink_type:\ttracing\nattach_type:\t{kind}\n");
        assert!(!may_stay(&info(24)));
        assert!(may_stay(&info(25)));
        assert!(may_stay(&info(26)));
        assert!(!may_stay("pos:\t0\nflags:\t02\n"));
    }
}
