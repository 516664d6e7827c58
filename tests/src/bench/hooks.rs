//! Each kind of hook that is measured.

use std::env;

use anyhow::{Context, Result};

use super::bpftrace::{Bpftrace, Kind};
use super::probes;
use super::tool::Tool;
use crate::lpwatch::{self, Daemon, code};

/// Whose functions they are.
const KERNEL: &str = "vmlinux";

/// A kind of hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Nothing,
    EmptyFentry,
    Kprobe,
    Lpwatch,
    BpftraceFentry,
    BpftraceKprobe,
}

/// What is hooked.
pub struct Target<'a> {
    pub function: &'a str,
    pub replaced: Option<Replaced<'a>>,
}

/// What a loaded patch has put in its place: lpwatch counts that as well.
pub struct Replaced<'a> {
    pub patch: &'a str,
    pub by: &'a str,
}

/// A hook in its place.
pub enum Placed<'a> {
    Nothing,
    Tool(Tool),
    Lpwatch(Daemon, &'a Target<'a>),
}

impl Hook {
    /// The first is what the others are compared with.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::EmptyFentry,
        Self::Kprobe,
        Self::Lpwatch,
        Self::BpftraceFentry,
        Self::BpftraceKprobe,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::EmptyFentry => "empty_fentry",
            Self::Kprobe => "kprobe",
            Self::Lpwatch => "lpwatch",
            Self::BpftraceFentry => "bpftrace_fentry",
            Self::BpftraceKprobe => "bpftrace_kprobe",
        }
    }

    /// Places it at a function.
    pub fn place<'a>(
        self,
        at: &'a Target<'a>,
        bpftrace: Result<&Bpftrace, &str>,
    ) -> Result<Placed<'a>> {
        let function = at.function;
        let hold = |how: &str| -> Result<Placed<'a>> {
            let program = env::current_exe()?;
            let arguments = ["bench", "hold", how, function];
            let tool = Tool::start(&program.to_string_lossy(), &arguments)?;
            Ok(Placed::Tool(tool))
        };
        let trace = |kind: Kind| -> Result<Placed<'a>> {
            let bpftrace = bpftrace.map_err(|why| anyhow::anyhow!("{why}"))?;
            Ok(Placed::Tool(bpftrace.count(kind, &[function])?))
        };
        match self {
            Self::Nothing => Ok(Placed::Nothing),
            Self::EmptyFentry => hold("entry"),
            Self::Kprobe => hold("probe"),
            Self::Lpwatch => {
                let daemon = Daemon::start(&["--watch", function])?;
                probes::wait_counted(at)?;
                Ok(Placed::Lpwatch(daemon, at))
            }
            Self::BpftraceFentry => trace(Kind::Fentry),
            Self::BpftraceKprobe => trace(Kind::Kprobe),
        }
    }
}

impl Placed<'_> {
    /// Takes it away: gives what it counted, if it counts and tells.
    pub fn end(self) -> Result<Option<u64>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Tool(tool) => tool.end(),
            Self::Lpwatch(daemon, at) => {
                let counted = at.counted_by_lpwatch()?;
                daemon.terminate()?.expect(&[code::WELL])?;
                Ok(Some(counted))
            }
        }
    }
}

impl Target<'_> {
    fn counted_by_lpwatch(&self) -> Result<u64> {
        let document = lpwatch::look(&[])?;
        let calls = match &self.replaced {
            Some(replaced) => {
                let function = document.function(replaced.patch, KERNEL, self.function)?;
                &function.calls
            }
            None => &document.watched(KERNEL, self.function)?.calls,
        };
        let calls = calls.as_ref().context("lpwatch does not count it")?;
        Ok(calls.all())
    }
}
