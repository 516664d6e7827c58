//! A daemon that is asked to end leaves nothing behind, in the kernel or on
//! disk.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::guest;
use crate::lpwatch::{Daemon, SOCKET, code};
use crate::patch::Patch;
use crate::trial::Trial;

pub fn run(trial: &mut Trial) -> Result<()> {
    let before = bpf_objects();
    let daemon = Daemon::start(&[])?;
    // It has had something to do, so that every part of it has been at work.
    Patch::load_completely("lp_cmdline")?.remove()?;
    daemon.wait_outcome("lp_cmdline", "unpatching", "completed")?;
    let during: Vec<_> = bpf_objects().difference(&before).cloned().collect();
    trial.figure("bpf_objects", during.len());
    ensure!(!during.is_empty(), "the daemon runs without any BPF object");

    let ended = daemon.terminate()?;
    ended.expect(&[code::WELL])?;
    ensure!(!Path::new(SOCKET).exists(), "the socket is still there");
    // The kernel frees them a little later than they are let go.
    let mut left = Vec::new();
    guest::wait_until("every BPF object is gone", || {
        left = bpf_objects().difference(&before).cloned().collect();
        Ok(left.is_empty())
    })
    .with_context(|| format!("left behind: {left:?}"))
}

/// All programs and maps in the kernel: kind, id and name.
fn bpf_objects() -> BTreeSet<(&'static str, u32, String)> {
    let mut objects = BTreeSet::new();
    for program in aya::programs::loaded_programs() {
        // One may go between its listing and its opening.
        let Ok(program) = program else { continue };
        let name = program.name_as_str().unwrap_or("?").to_owned();
        objects.insert(("program", program.id(), name));
    }
    for map in aya::maps::loaded_maps() {
        let Ok(map) = map else { continue };
        let name = map.name_as_str().unwrap_or("?").to_owned();
        objects.insert(("map", map.id(), name));
    }
    objects
}
