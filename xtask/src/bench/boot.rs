//! One boot of one kernel, and what is measured in it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::args::LimitArgs;
use super::record::Record;
use crate::kernels::Cached;
use crate::vm::Guest;
use crate::vm::accel::Accel;
use crate::vm::guest::{Contents, Task};
use crate::vm::lines::Lines;
use crate::vm::outcome::{Limits, Outcome};
use crate::vm::qemu::{Machine, Network};
use crate::{paths, ui};

pub const CPUS: u32 = 2;

/// A guest holds its files in memory, bpftrace's 300 MB among them, and those
/// twice while it unpacks them.
pub const MEMORY_MIB: u32 = 3072;

/// What is to be measured.
pub struct Job<'a> {
    pub kernel: &'a Cached,
    pub name: &'a str,
    pub arguments: &'a [String],
    pub programs: &'a [(&'static str, PathBuf)],
    pub modules: Option<&'a Path>,
    pub bpftrace: Option<&'a Path>,
    pub limits: LimitArgs,
}

/// What came out of it.
pub struct Measured {
    pub records: Vec<Record>,
    pub outcome: Outcome,
    pub log: PathBuf,
}

impl Job<'_> {
    /// Boots, measures and collects.
    pub fn run(&self) -> Result<Measured> {
        let series = self.kernel.series.name();
        let log = paths::target("logs").join(format!("bench-{}-{series}.log", self.name));
        let guest = self.guest(&log);
        std::fs::create_dir_all(paths::target("logs"))?;
        let mut stdout = Records::keep(&log.with_extension("jsonl"))?;
        let mut stderr = Words::show(self.limits.verbose, series);
        let release = &self.kernel.manifest.release;
        let step = ui::Step::start(format!("bench {} in Linux {release}", self.name));
        let outcome = guest.run(&mut stdout, &mut stderr)?;
        step.done(match outcome {
            Outcome::Exit(0) => "done",
            _ => "FAILED",
        });
        if outcome != Outcome::Exit(0) {
            eprintln!("{}", stderr.last);
        }
        Ok(Measured {
            records: stdout.read,
            outcome,
            log,
        })
    }

    fn guest(&self, log: &Path) -> Guest {
        let command = ["lpwatch-scenarios", "bench", self.name];
        let command = command.into_iter().map(str::to_owned);
        Guest {
            machine: Machine {
                kernel: self.kernel.image(),
                memory_mib: MEMORY_MIB,
                cpus: CPUS,
                niceness: 0,
                accel: Accel::default(),
                append: String::new(),
                network: Network::None,
            },
            contents: Contents {
                series: self.kernel.series.name().to_owned(),
                task: Task::Command(command.chain(self.arguments.iter().cloned()).collect()),
                programs: self.programs.to_vec(),
                modules: self.modules.map(Path::to_path_buf),
                added: Vec::new(),
                trees: self.bpftrace.map(Path::to_path_buf).into_iter().collect(),
            },
            limits: Limits {
                total: Some(Duration::from_secs(self.limits.timeout)),
                silence: Some(Duration::from_secs(self.limits.silence)),
            },
            log: log.to_path_buf(),
        }
    }
}

/// Takes the guest's stdout, where each line is a record.
struct Records {
    file: File,
    lines: Lines,
    read: Vec<Record>,
}

impl Records {
    fn keep(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            file,
            lines: Lines::default(),
            read: Vec::new(),
        })
    }
}

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        for line in self.lines.push(bytes) {
            match serde_json::from_str(&line) {
                Ok(record) => self.read.push(record),
                Err(error) => ui::note(format!("not a record ({error}): {line}")),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the guest's stderr, which is for people.
struct Words<'a> {
    verbose: bool,
    series: &'a str,
    lines: Lines,
    last: String,
}

impl<'a> Words<'a> {
    fn show(verbose: bool, series: &'a str) -> Self {
        Self {
            verbose,
            series,
            lines: Lines::default(),
            last: String::new(),
        }
    }
}

impl Write for Words<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in self.lines.push(bytes) {
            if self.verbose {
                eprintln!("{} | {line}", self.series);
            }
            self.last = line;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
