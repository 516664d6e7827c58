//! The hook on one counted function.

use std::{
    ffi::CString,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use aya::{
    Btf,
    programs::{FEntry, KProbe, ProgramFd, kprobe::KProbeLink},
};
use strum::IntoStaticStr;

use crate::probe::{ProbeError, TaskIterator, missed::runs_missed, object::program};

use super::{fail, group::Group, link};

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
#[strum(serialize_all = "snake_case")]
pub enum CountKind {
    Fentry,
    Kprobe,
    /// Together with others, by one program.
    KprobeMulti,
}

impl CountKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What counts a function.
#[derive(Debug)]
pub(super) enum CounterHook {
    /// A program of its own.
    Alone {
        #[expect(dead_code, reason = "held, because dropping it detaches the hook")]
        link: Link,
        program: ProgramFd,
    },
    /// A program that it shares with others.
    Member(Arc<Group>),
}

/// Keeps a counter attached until dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, because dropping it detaches the hook")]
pub(super) enum Link {
    Cookie(OwnedFd),
    Kprobe(KProbeLink),
}

impl CounterHook {
    /// Loads the program anew for each function, so that the kernel counts the
    /// missed calls of each.
    pub fn fentry(
        iterator: &mut TaskIterator,
        function: &str,
        btf: &Btf,
        slot: u32,
    ) -> Result<Self, ProbeError> {
        const ACTION: &str = "attach fentry";
        let program: &mut FEntry = program(&mut iterator.bpf, "count_fentry")?;
        let loaded = program
            .load(function, btf)
            .and_then(|()| Ok(program.fd()?.try_clone()?));
        // It may not have been loaded at all.
        let _ = program.unload();
        let program = loaded.map_err(|error| ProbeError::new(ACTION, &error))?;
        let link =
            link::fentry(program.as_fd(), slot).map_err(|error| ProbeError::new(ACTION, &error))?;
        Ok(Self::Alone {
            link: Link::Cookie(link),
            program,
        })
    }

    /// As [`Self::fentry`], by kprobe.
    pub fn kprobe(
        iterator: &mut TaskIterator,
        symbol: &str,
        slot: u32,
    ) -> Result<Self, ProbeError> {
        const ACTION: &str = "attach a kprobe";
        let program: &mut KProbe = program(&mut iterator.bpf, "count_cookie")?;
        let name = CString::new(symbol).map_err(|error| fail(&error))?;
        let loaded = program.load().and_then(|()| Ok(program.fd()?.try_clone()?));
        // It may not have been loaded at all.
        let _ = program.unload();
        let program = loaded.map_err(|error| ProbeError::kprobe(ACTION, &error))?;
        let link = link::kprobe(program.as_fd(), &name, slot)
            .map_err(|error| ProbeError::kprobe(ACTION, &error))?;
        Ok(Self::Alone {
            link: Link::Cookie(link),
            program,
        })
    }

    /// As [`Self::kprobe`], on kernels without cookies: the program finds the slot by the
    /// address of the function.
    pub fn kprobe_by_address(
        iterator: &mut TaskIterator,
        symbol: &str,
    ) -> Result<Self, ProbeError> {
        let program: &mut KProbe = program(&mut iterator.bpf, "count_kprobe")?;
        let hook = program.load().and_then(|()| {
            let id = program.attach(symbol, 0)?;
            let link = Link::Kprobe(program.take_link(id)?);
            let program = program.fd()?.try_clone()?;
            Ok(Self::Alone { link, program })
        });
        // It may not have been loaded at all.
        let _ = program.unload();
        hook.map_err(|error| ProbeError::kprobe("attach a kprobe", &error))
    }

    /// Calls that it missed; 0 where the kernel does not report them, or not of which
    /// function they were.
    pub fn missed(&self) -> u64 {
        match self {
            Self::Alone { program, .. } => runs_missed(program).unwrap_or_default(),
            Self::Member(group) if group.slots.len() == 1 => group.missed(),
            Self::Member(_) => 0,
        }
    }

    /// Calls that were missed of this function or of others that are hooked with it.
    pub fn missed_together(&self) -> u64 {
        match self {
            Self::Member(group) if group.slots.len() > 1 => group.missed(),
            Self::Member(_) | Self::Alone { .. } => 0,
        }
    }
}
