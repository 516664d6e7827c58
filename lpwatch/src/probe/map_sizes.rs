//! How many entries the maps get: as many as this host and this use need.

use std::fs;

use aya::EbpfLoader;
use lpwatch_common::calls::place;

use super::{
    ProbeError,
    calls::{by_address, cpus},
};

/// The most answers of the kernel that are kept.
const MOST_ANSWERS: u32 = 16_384;

/// The fewest, where there are any.
const LEAST_ANSWERS: u32 = 1024;

/// For each CPU: the kernel hands free entries of such a map out to the CPUs, 128 at a
/// time (`LOCAL_FREE_TARGET`, `kernel/bpf/bpf_lru_list.c`).
const ANSWERS_OF_CPU: u32 = 256;

/// What the maps are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapUses {
    /// The kernel's answers about tasks are hooked.
    pub answers: bool,
    /// Calls are counted.
    pub calls: bool,
    /// Events are reported.
    pub events: bool,
}

/// Sets the size of each map that does not have the right one in the object.
///
/// # Errors
/// [`ProbeError`] if the number of CPUs is not known.
pub(super) fn set(loader: &mut EbpfLoader<'_>, uses: MapUses) -> Result<(), ProbeError> {
    let cpus = cpus()?;
    let answers = if uses.answers {
        // Unknown is many.
        answers(threads().unwrap_or(MOST_ANSWERS), cpus)
    } else {
        1
    };
    loader.map_max_entries("VERDICTS", answers);
    if uses.calls {
        loader.map_max_entries("CALLS", place(cpus, 0));
    } else {
        loader.map_max_entries("CALLS", 1);
    }
    if !uses.calls || !by_address() {
        loader.map_max_entries("SLOT_OF", 1);
    }
    if !uses.events {
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(65_536);
        loader.map_max_entries("EVENTS", page);
    }
    Ok(())
}

/// How many answers are kept on a host with so many threads: one for each, and room
/// for those that start later. Where that is not enough, the oldest go first.
fn answers(threads: u32, cpus: u32) -> u32 {
    let wanted = threads.saturating_mul(2);
    let wanted = wanted.max(cpus.saturating_mul(ANSWERS_OF_CPU));
    wanted
        .clamp(LEAST_ANSWERS, MOST_ANSWERS)
        .next_power_of_two()
}

/// The number of threads of this host (proc(5), loadavg).
fn threads() -> Option<u32> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, all) = text.split(' ').nth(3)?.split_once('/')?;
    all.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_have_room_for_all_threads_within_limits() {
        assert_eq!(answers(110, 2), 1024);
        assert_eq!(answers(2000, 8), 4096);
        assert_eq!(answers(110, 64), 16_384);
        assert_eq!(answers(30_000, 2), 16_384);
        assert_eq!(answers(u32::MAX, u32::MAX), 16_384);
    }

    #[test]
    fn this_host_has_threads() {
        assert!(threads().is_some_and(|threads| threads > 0));
    }
}
