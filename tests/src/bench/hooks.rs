//! Each kind of hook that is measured.

use std::env;

use anyhow::Result;

use super::bpftrace::{Bpftrace, Kind};
use super::probes;
use super::tool::Tool;
use crate::lpwatch::{Daemon, code};

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
    /// What a loaded patch has put in its place: lpwatch counts that as well.
    pub replaced_by: Option<&'a str>,
}

/// A hook in its place.
pub enum Placed {
    Nothing,
    Tool(Tool),
    Lpwatch(Daemon),
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
    pub fn place(self, at: &Target<'_>, bpftrace: Result<&Bpftrace, &str>) -> Result<Placed> {
        let function = at.function;
        let hold = |how: &str| -> Result<Placed> {
            let program = env::current_exe()?;
            let arguments = ["bench", "hold", how, function];
            let tool = Tool::start(&program.to_string_lossy(), &arguments)?;
            Ok(Placed::Tool(tool))
        };
        let trace = |kind: Kind| -> Result<Placed> {
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
                Ok(Placed::Lpwatch(daemon))
            }
            Self::BpftraceFentry => trace(Kind::Fentry),
            Self::BpftraceKprobe => trace(Kind::Kprobe),
        }
    }
}

impl Placed {
    /// Takes it away: gives what it counted, if it counts and tells.
    pub fn end(self) -> Result<Option<u64>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Tool(tool) => tool.end(),
            Self::Lpwatch(daemon) => {
                daemon.terminate()?.expect(&[code::WELL])?;
                Ok(None)
            }
        }
    }
}
