//! Somebody else's tracing: an fexit program in a process of its own, or a
//! return probe of the kernel's.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};
use aya::programs::FExit;
use aya::{Btf, Ebpf};
use nix::mount::{MsFlags, mount};

use crate::actor::Actor;
use crate::trial::Skipped;

/// Empty where no BPF toolchain was set up.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/foreign.bpf.o"));

pub const FUNCTION: &str = "hrtimer_nanosleep";
pub const PROGRAM: &str = "foreign_exit";

const TRACEFS: &str = "/sys/kernel/tracing";
pub const PROBE: &str = "lpwatch_foreign";

/// Calls that can be under way; beyond it, a return probe misses them.
const ACTIVE: usize = 64;

/// What the process that holds the program does.
pub fn hold() -> Result<()> {
    let mut bpf = Ebpf::load(OBJECT)?;
    let program = bpf.program_mut(PROGRAM).context("no program")?;
    let program: &mut FExit = program.try_into()?;
    program.load(FUNCTION, &Btf::from_sys_fs()?)?;
    program.attach()?;
    println!("ready {}", program.info()?.id());
    loop {
        thread::park();
    }
}

/// A process that holds the program, attached.
pub struct Holder {
    pub actor: Actor,
    pub program: u32,
}

impl Holder {
    pub fn start() -> Result<Self> {
        if OBJECT.is_empty() {
            let why = "built without BPF programs: run `cargo xtask setup`";
            return Err(Skipped(why.to_owned()).into());
        }
        let actor = Actor::start(&["foreign"])?;
        let id = actor.first_words.strip_prefix("ready ");
        let program = id
            .context("the program's id was not told")?
            .trim()
            .parse()?;
        Ok(Self { actor, program })
    }
}

/// A return probe on [`FUNCTION`], made through tracefs.
pub struct ReturnProbe;

impl ReturnProbe {
    pub fn place() -> Result<Self> {
        if !Path::new(TRACEFS).join("kprobe_events").exists() {
            mount(
                Some("none"),
                TRACEFS,
                Some("tracefs"),
                MsFlags::empty(),
                None::<&str>,
            )
            .context("mounting tracefs")?;
        }
        write("kprobe_events", &format!("r{ACTIVE}:{PROBE} {FUNCTION}"))?;
        let probe = Self;
        write(&format!("events/kprobes/{PROBE}/enable"), "1")?;
        let listed = fs::read_to_string(Path::new(TRACEFS).join("kprobe_events"))?;
        ensure!(listed.contains(PROBE), "no such probe: {listed}");
        Ok(probe)
    }
}

impl Drop for ReturnProbe {
    fn drop(&mut self) {
        let taken_out = write(&format!("events/kprobes/{PROBE}/enable"), "0")
            .and_then(|()| write("kprobe_events", &format!("-:{PROBE}")));
        if let Err(error) = taken_out {
            eprintln!("    left behind: {error:#}");
        }
    }
}

fn write(file: &str, text: &str) -> Result<()> {
    let path = Path::new(TRACEFS).join(file);
    // Opened as fs::write does, the list of probes would lose all it has.
    let opened = OpenOptions::new().append(true).open(&path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {text} to {}", path.display()))
}
