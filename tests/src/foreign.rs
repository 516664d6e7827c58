//! Somebody else's tracing: BPF programs, each in a process of its own, and a
//! return probe of the kernel's.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};
use aya::maps::{MapData, PerCpuArray};
use aya::programs::{FEntry, FExit, KProbe, Program, ProgramError};
use aya::{Btf, Ebpf};
use nix::mount::{MsFlags, mount};

use crate::actor::Actor;
use crate::trial::Skipped;

/// Empty where no BPF toolchain was set up.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/foreign.bpf.o"));

pub const FUNCTION: &str = "hrtimer_nanosleep";
pub const PROGRAM: &str = "foreign_exit";

const EMPTY_ENTRY: &str = "empty_entry";

const NO_PROGRAMS: &str = "built without BPF programs: run `cargo xtask setup`";

const TRACEFS: &str = "/sys/kernel/tracing";
pub const PROBE: &str = "lpwatch_foreign";

/// Bytes behind a function's beginning that are in its body: beyond `endbr64`
/// and the call of the function tracer.
const BODY: std::ops::Range<u64> = 10..40;

/// Calls that can be under way; beyond it, a return probe misses them.
const ACTIVE: usize = 64;

/// What the process that holds the program does.
pub fn hold() -> Result<()> {
    let mut bpf = load()?;
    let program: &mut FExit = program(&mut bpf, PROGRAM)?;
    program.load(FUNCTION, &Btf::from_sys_fs()?)?;
    program.attach()?;
    println!("ready {}", program.info()?.id());
    loop {
        thread::park();
    }
}

/// An fentry program that does nothing, attached for as long as this lives.
pub struct EmptyEntry {
    _bpf: Ebpf,
}

impl EmptyEntry {
    pub const NAME: &str = EMPTY_ENTRY;

    pub fn place(function: &str) -> Result<Self> {
        let mut bpf = load()?;
        let program: &mut FEntry = program(&mut bpf, EMPTY_ENTRY)?;
        program.load(function, &Btf::from_sys_fs()?)?;
        program.attach()?;
        Ok(Self { _bpf: bpf })
    }
}

/// Finds out which functions fentry can be placed at: the verifier knows.
pub struct Attachable {
    bpf: Ebpf,
    btf: Btf,
}

impl Attachable {
    pub fn new() -> Result<Self> {
        let (bpf, btf) = (load()?, Btf::from_sys_fs()?);
        Ok(Self { bpf, btf })
    }

    /// Loads a program for that function, and does not attach it.
    pub fn is(&mut self, function: &str) -> Result<bool> {
        let program: &mut FEntry = program(&mut self.bpf, EMPTY_ENTRY)?;
        if program.load(function, &self.btf).is_err() {
            return Ok(false);
        }
        program.unload()?;
        Ok(true)
    }
}

/// A kprobe program that counts, attached for as long as this lives.
pub struct ProbeCounter {
    bpf: Ebpf,
}

impl ProbeCounter {
    pub const NAME: &str = "kprobe_counter";

    pub fn place(function: &str) -> Result<Self> {
        Self::place_at(function, 0)
    }

    /// So many bytes behind its beginning.
    pub fn place_at(function: &str, offset: u64) -> Result<Self> {
        let mut bpf = load()?;
        let program: &mut KProbe = program(&mut bpf, Self::NAME)?;
        program.load()?;
        program.attach(function, offset)?;
        Ok(Self { bpf })
    }

    /// The calls so far, of all CPUs.
    pub fn called(&self) -> Result<u64> {
        let map = self.bpf.map("CALLED").context("no map")?;
        let called: PerCpuArray<&MapData, u64> = map.try_into()?;
        Ok(called.get(&0, 0)?.iter().sum())
    }
}

fn load() -> Result<Ebpf> {
    ensure!(!OBJECT.is_empty(), "{NO_PROGRAMS}");
    Ok(Ebpf::load(OBJECT)?)
}

fn program<'bpf, P>(bpf: &'bpf mut Ebpf, name: &str) -> Result<&'bpf mut P>
where
    &'bpf mut P: TryFrom<&'bpf mut Program, Error = ProgramError>,
{
    let program = bpf.program_mut(name).context("no program")?;
    Ok(program.try_into()?)
}

/// A process that holds the program, attached.
pub struct Holder {
    pub actor: Actor,
    pub program: u32,
}

impl Holder {
    pub fn start() -> Result<Self> {
        if OBJECT.is_empty() {
            return Err(Skipped(NO_PROGRAMS.to_owned()).into());
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
pub struct ReturnProbe {
    _probe: TraceProbe,
}

impl ReturnProbe {
    pub fn place() -> Result<Self> {
        let probe = TraceProbe::place(&format!("r{ACTIVE}"), PROBE, FUNCTION)?;
        Ok(Self { _probe: probe })
    }
}

/// A probe made through tracefs, which calls it `kprobes/<name>`.
pub struct TraceProbe {
    name: &'static str,
}

impl TraceProbe {
    /// Of that kind (`p`, or `r` for a return probe), at a function or behind
    /// its beginning: `function+4`.
    pub fn place(kind: &str, name: &'static str, place: &str) -> Result<Self> {
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
        write("kprobe_events", &format!("{kind}:{name} {place}"))?;
        let probe = Self { name };
        write(&format!("events/kprobes/{name}/enable"), "1")?;
        let listed = fs::read_to_string(Path::new(TRACEFS).join("kprobe_events"))?;
        ensure!(listed.contains(name), "no such probe: {listed}");
        Ok(probe)
    }

    /// A probe in the body of a function, and how far behind its beginning: the
    /// kernel takes none in the midst of an instruction.
    pub fn place_inside(name: &'static str, function: &str) -> Result<(Self, u64)> {
        let mut last = None;
        for offset in BODY {
            match Self::place("p", name, &format!("{function}+{offset}")) {
                Ok(probe) => return Ok((probe, offset)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("nowhere to place it")?)
    }
}

impl Drop for TraceProbe {
    fn drop(&mut self) {
        let name = self.name;
        let taken_out = write(&format!("events/kprobes/{name}/enable"), "0")
            .and_then(|()| write("kprobe_events", &format!("-:{name}")));
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
