//! What this process may do.

use rustix::{
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};
use strum::{IntoStaticStr, VariantArray};

/// A capability that matters to a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE", prefix = "CAP_")]
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
    /// As in capabilities(7).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
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
    /// The effective ones of [`Capability`]; `None` if unknown.
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
                let all = Capability::VARIANTS.iter().copied();
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
