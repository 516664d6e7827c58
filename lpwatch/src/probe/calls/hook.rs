//! The hook on one counted function.

use aya::{
    Btf,
    programs::{FEntry, KProbe, ProgramFd, fentry::FEntryLink, kprobe::KProbeLink},
};
use strum::IntoStaticStr;

use crate::probe::{ProbeError, TaskIterator, missed::runs_missed, object::program};

/// Which function to count, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountAt {
    /// The first byte of the function.
    pub address: u64,
    /// Its symbol; for a function of a module `module:symbol`.
    pub symbol: String,
    pub kind: CountKind,
}

/// How a function is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum CountKind {
    Fentry,
    Kprobe,
}

impl CountKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A program of its own on a function.
#[derive(Debug)]
pub(super) struct CounterHook {
    #[expect(dead_code, reason = "held, because dropping it detaches the hook")]
    link: Link,
    program: ProgramFd,
}

/// Keeps a counter attached until dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, because dropping it detaches the hook")]
enum Link {
    Fentry(FEntryLink),
    Kprobe(KProbeLink),
}

impl CounterHook {
    /// Loads the program anew for each function, so that the kernel counts the
    /// missed calls of each.
    pub fn fentry(
        iterator: &mut TaskIterator,
        function: &str,
        btf: &Btf,
    ) -> Result<Self, ProbeError> {
        let program: &mut FEntry = program(&mut iterator.bpf, "count_fentry")?;
        let hook = program.load(function, btf).and_then(|()| {
            let id = program.attach()?;
            let link = Link::Fentry(program.take_link(id)?);
            let program = program.fd()?.try_clone()?;
            Ok(Self { link, program })
        });
        // It may not have been loaded at all.
        let _ = program.unload();
        hook.map_err(|error| ProbeError::new("attach fentry", &error))
    }

    /// As [`Self::fentry`].
    pub fn kprobe(iterator: &mut TaskIterator, symbol: &str) -> Result<Self, ProbeError> {
        let program: &mut KProbe = program(&mut iterator.bpf, "count_kprobe")?;
        let hook = program.load().and_then(|()| {
            let id = program.attach(symbol, 0)?;
            let link = Link::Kprobe(program.take_link(id)?);
            let program = program.fd()?.try_clone()?;
            Ok(Self { link, program })
        });
        // It may not have been loaded at all.
        let _ = program.unload();
        hook.map_err(|error| ProbeError::kprobe("attach a kprobe", &error))
    }

    /// Calls that it missed; 0 where the kernel does not report them.
    pub fn missed(&self) -> u64 {
        runs_missed(&self.program).unwrap_or_default()
    }
}
