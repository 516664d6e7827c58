//! What lpwatch takes of a host, as far as that does not depend on time: the large
//! files it reads, its memory, its open files, and what it has in the kernel.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::guest::{self, Module};
use crate::lpwatch::{self, ALONE, Daemon, code};
use crate::opens::Opens;
use crate::patch::Patch;
use crate::tasks::Code;
use crate::trial::Trial;

/// Megabytes; a read takes as much memory for a moment.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// As many lines as the kernel has symbols, each written when it is read.
const SYMBOLS: &str = "/proc/kallsyms";

/// Bounds with room for other kernels and compilers; docs/cost.md has what is measured.
const MOST_RESIDENT_KIB: u64 = 20_000;
const MOST_OWN_KIB: u64 = 6_000;
const MOST_MAP_BYTES: u64 = 2_000_000;
const MOST_FILES: usize = 100;
const MOST_PROGRAMS: usize = 40;

pub fn run(trial: &mut Trial) -> Result<()> {
    let opens = Opens::watch(&[TYPES, SYMBOLS])?;

    lpwatch::look(&[ALONE])?;
    reads(trial, "status", &opens, [0, 0])?;

    let daemon = Daemon::start(&[])?;
    reads(trial, "start", &opens, [1, 1])?;
    let idle = taken(trial, "idle", &daemon)?;
    ensure!(
        // The loop, and the thread that writes the history.
        idle.threads <= 2,
        "{} threads with nothing to do",
        idle.threads
    );
    lpwatch::look(&[])?;
    reads(trial, "asked", &opens, [0, 0])?;

    let _target = Module::load("lpwatch_target")?;
    let stall = Patch::load("lp_stall")?;
    stall.wait_left(Code::Old, 1)?;
    // The first look at the task's stack reads the symbols; whoever asks first or last.
    for _ in 0..4 {
        lpwatch::poll()?;
    }
    reads(trial, "stall", &opens, [0, 1])?;
    let stalled = taken(trial, "stall", &daemon)?;
    ensure!(
        stalled.files == idle.files && stalled.programs == idle.programs,
        "a stall opens files or loads programs: {idle:?}, {stalled:?}"
    );
    let alone = [&["tasks"][..], ALONE].concat();
    lpwatch::run(&[&alone])?.expect(&[code::IN_TRANSITION, code::STALLED])?;
    reads(trial, "tasks_alone", &opens, [1, 1])?;

    stall.disable()?;
    stall.wait_gone()?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

/// How often the types and the symbols were opened since the last call.
fn reads(trial: &mut Trial, when: &str, opens: &Opens, most: [u32; 2]) -> Result<()> {
    let counted = opens.counted()?;
    let [types, symbols] = [TYPES, SYMBOLS].map(|file| counted[Path::new(file)]);
    trial.figure(&format!("{when}_reads_of_types"), types);
    trial.figure(&format!("{when}_reads_of_symbols"), symbols);
    ensure!(
        types <= most[0] && symbols <= most[1],
        "{when}: {types} and {symbols} readings, more than {most:?}"
    );
    Ok(())
}

/// What a daemon has at one moment.
#[derive(Debug)]
struct Taken {
    threads: u64,
    files: usize,
    programs: usize,
}

fn taken(trial: &mut Trial, when: &str, daemon: &Daemon) -> Result<Taken> {
    let pid = daemon.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let words = line.with_context(|| format!("no {name}"))?;
        let number = words.trim().trim_end_matches(" kB");
        Ok::<u64, anyhow::Error>(number.parse()?)
    };
    let [resident, own, peak] = [field("VmRSS:")?, field("RssAnon:")?, field("VmHWM:")?];
    let held = Held::of(pid)?;
    for (name, value) in [
        ("resident_kib", resident),
        ("own_kib", own),
        ("peak_kib", peak),
        ("map_bytes", held.map_bytes),
        ("files", held.files as u64),
        ("programs", held.programs as u64),
    ] {
        trial.figure(&format!("{when}_{name}"), value);
    }
    ensure!(
        resident <= MOST_RESIDENT_KIB && own <= MOST_OWN_KIB,
        "{when}: {resident} KiB resident, {own} of them its own"
    );
    ensure!(
        held.map_bytes <= MOST_MAP_BYTES,
        "{when}: maps of {} bytes",
        held.map_bytes
    );
    ensure!(
        held.files <= MOST_FILES && held.programs <= MOST_PROGRAMS,
        "{when}: {held:?}"
    );
    Ok(Taken {
        threads: field("Threads:")?,
        files: held.files,
        programs: held.programs,
    })
}

/// What a process holds open.
#[derive(Debug, Default)]
struct Held {
    files: usize,
    /// Of BPF.
    programs: usize,
    /// What the kernel charges for BPF maps.
    map_bytes: u64,
}

impl Held {
    fn of(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/fdinfo");
        let mut held = Self::default();
        for name in guest::names_in(Path::new(&folder)) {
            let info = fs::read_to_string(format!("{folder}/{name}"))?;
            let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
            held.files += 1;
            held.programs +=
                usize::from(field("prog_type:").is_some() && field("link_id:").is_none());
            if let (Some(_), Some(bytes)) = (field("map_type:"), field("memlock:")) {
                held.map_bytes += bytes.trim().parse::<u64>()?;
            }
        }
        Ok(held)
    }
}
