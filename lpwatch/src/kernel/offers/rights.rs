//! What this process may do.

use rustix::{
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};

/// A capability that matters to a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Bpf,
    Perfmon,
    SysAdmin,
    Syslog,
    DacReadSearch,
    SysPtrace,
    SysResource,
}

impl Capability {
    /// All of these.
    pub const ALL: [Self; 7] = [
        Self::Bpf,
        Self::Perfmon,
        Self::SysAdmin,
        Self::Syslog,
        Self::DacReadSearch,
        Self::SysPtrace,
        Self::SysResource,
    ];

    /// As in capabilities(7).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Syslog => "CAP_SYSLOG",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysResource => "CAP_SYS_RESOURCE",
        }
    }

    fn flag(self) -> CapabilitySet {
        match self {
            Self::Bpf => CapabilitySet::BPF,
            Self::Perfmon => CapabilitySet::PERFMON,
            Self::SysAdmin => CapabilitySet::SYS_ADMIN,
            Self::Syslog => CapabilitySet::SYSLOG,
            Self::DacReadSearch => CapabilitySet::DAC_READ_SEARCH,
            Self::SysPtrace => CapabilitySet::SYS_PTRACE,
            Self::SysResource => CapabilitySet::SYS_RESOURCE,
        }
    }
}

/// How much memory the process may lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memlock {
    Unlimited,
    Bytes(u64),
}

/// What this process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    pub root: bool,
    /// The effective ones of [`Capability::ALL`]; `None` if unknown.
    pub capabilities: Option<Vec<Capability>>,
    /// `RLIMIT_MEMLOCK`.
    pub memlock: Memlock,
}

impl Rights {
    /// Those of this process.
    #[must_use]
    pub fn own() -> Self {
        let effective = capabilities(None).ok().map(|sets| sets.effective);
        Self {
            root: rustix::process::geteuid().is_root(),
            capabilities: effective.map(|effective| {
                let all = Capability::ALL.into_iter();
                all.filter(|one| effective.contains(one.flag())).collect()
            }),
            memlock: getrlimit(Resource::Memlock)
                .current
                .map_or(Memlock::Unlimited, Memlock::Bytes),
        }
    }

    /// Whether this capability is effective; `None` if unknown.
    #[must_use]
    pub fn has(&self, capability: Capability) -> Option<bool> {
        Some(self.capabilities.as_ref()?.contains(&capability))
    }

    /// Whether BPF tracing programs may be loaded: `CAP_BPF` and `CAP_PERFMON`
    /// (5.8), or `CAP_SYS_ADMIN`, which includes both.
    #[must_use]
    pub fn may_trace(&self) -> Option<bool> {
        let both = self.has(Capability::Bpf)? && self.has(Capability::Perfmon)?;
        Some(both || self.has(Capability::SysAdmin)?)
    }
}
