//! The attached hooks: their events, and how many were lost.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray, RingBuf},
};
use aya_log::EbpfLogger;
use lpwatch_common::decode;

use crate::model::{Event, ObservedFact, snapshot::Probe};

use super::{CallCounters, ProbeError, StopRing, policy, records};

/// The programs' own diagnostics, passed to the log.
pub type BpfLog = EbpfLogger<&'static dyn log::Log>;

/// The attached hooks. They are detached when the [`super::TaskIterator`] that
/// came with them, which holds the programs, is dropped.
pub struct Hooks {
    pub probes: Vec<Probe>,
    pub ring: EventRing,
    pub log: Option<BpfLog>,
    pub counters: CallCounters,
    /// Reports stops of the machine; `None` where they are not hooked.
    pub stops: Option<StopRing>,
    /// Whether this kernel lets fentry and livepatch share a function.
    pub shares_functions: bool,
}

impl Hooks {
    pub(super) fn new(
        bpf: &mut Ebpf,
        probes: Vec<Probe>,
        counters: CallCounters,
        shares_functions: bool,
        log: bool,
    ) -> Result<Self, ProbeError> {
        let fail =
            |error: &(dyn std::error::Error + 'static)| ProbeError::new("open the BPF maps", error);
        let log = log
            .then(|| EbpfLogger::init(bpf))
            .transpose()
            .map_err(|error| fail(&error))?;
        let missing = || ProbeError::Failed {
            action: "open the BPF maps",
            reason: "the object lacks a map".to_owned(),
        };
        let ring = bpf.take_map("EVENTS").ok_or_else(missing)?;
        let lost = bpf.take_map("EVENTS_LOST").ok_or_else(missing)?;
        let ring = EventRing {
            ring: RingBuf::try_from(ring).map_err(|error| fail(&error))?,
            lost: PerCpuArray::try_from(lost).map_err(|error| fail(&error))?,
        };
        let is_stops = |probe: &Probe| probe.fact == ObservedFact::Stops && probe.attached;
        let hooked = probes.iter().any(is_stops);
        let stops = hooked.then(|| StopRing::new(bpf)).transpose()?;
        Ok(Self {
            probes,
            ring,
            log,
            counters,
            stops,
            shares_functions,
        })
    }

    /// Whether beginnings and ends of transitions are hooked.
    #[must_use]
    pub fn follow_transitions(&self) -> bool {
        policy::ESSENTIAL
            .iter()
            .all(|essential| self.has(*essential))
    }

    /// Whether the hook for this fact is attached.
    pub(super) fn has(&self, fact: ObservedFact) -> bool {
        self.probes
            .iter()
            .any(|probe| probe.fact == fact && probe.attached)
    }
}

/// The ring buffer that the hooks write to.
pub struct EventRing {
    ring: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
}

impl EventRing {
    /// All events there are now, oldest first. An unreadable record is dropped
    /// and logged.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(item) = self.ring.next() {
            if let Some(event) = decode(&item).and_then(|record| records::event(&record)) {
                events.push(event);
            } else {
                tracing::warn!(bytes = item.len(), "unknown record from the kernel");
            }
        }
        events
    }

    /// Events lost because the ring was full, since the hooks were attached.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.get(&0, 0).map_or(0, |counts| counts.iter().sum())
    }
}

impl AsFd for EventRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for EventRing {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
