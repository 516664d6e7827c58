//! The hooks on `stop_machine`, and the ring they write to.
//!
//! Two entry kprobes, and no more: see the BPF programs' `stops.rs`. The one on
//! the end is attached first, so that no beginning is ever without an end.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::KProbe,
};
use lpwatch_common::{decode, stops::StopRecord};

use crate::{
    kernel::btf::KernelBtf,
    model::{ObservedFact, snapshot::Probe, stops::CpuStop},
};

use super::{ProbeError, object::program, policy::probe};

/// Where a stop of a CPU begins and ends (`kernel/stop_machine.c`; both in
/// 5.10, 6.1, 6.12 and 7.2).
pub(super) const FUNCTION: &str = "multi_cpu_stop";
const END: &str = "cpu_stop_should_run";

/// The functions that are hooked.
pub(super) const FUNCTIONS: [&str; 2] = [FUNCTION, END];

const DATA: &str = "multi_stop_data";

/// Values for the constants; what this kernel lacks is left absent.
pub(super) fn offsets(btf: &KernelBtf) -> impl Iterator<Item = (&'static str, u32)> {
    [
        ("OFF_STOP_FUNCTION", "fn"),
        ("OFF_STOP_CPUS", "num_threads"),
    ]
    .into_iter()
    .filter_map(|(constant, member)| Some((constant, btf.member_offset(DATA, member)?)))
}

/// Attaches both or neither. `named`: whether addresses are shown, so that a stop's
/// function can be named and NUMA balancing be distinguished by it, or why not.
pub(super) fn attach(bpf: &mut Ebpf, btf: &KernelBtf, named: Result<(), String>) -> Probe {
    let attached = attach_both(bpf, btf, named);
    let notes: Vec<String> = attached.as_ref().err().cloned().into_iter().collect();
    let kind = if attached.is_ok() { "kprobe" } else { "none" };
    probe(
        ObservedFact::Stops,
        kind,
        FUNCTION,
        attached.is_ok(),
        &notes,
    )
}

fn attach_both(bpf: &mut Ebpf, btf: &KernelBtf, named: Result<(), String>) -> Result<(), String> {
    if btf.member_offset(DATA, "fn").is_none() {
        return Err(format!(
            "the BTF has no `struct {DATA}`: what stops the machine is not reported"
        ));
    }
    named?;
    for (name, function) in [("stop_ends", END), ("stop_begins", FUNCTION)] {
        let program: &mut KProbe = program(bpf, name).map_err(|error| error.to_string())?;
        let attached = program.load().and_then(|()| program.attach(function, 0));
        attached.map(drop).map_err(|error| {
            format!(
                "{function}: {}",
                ProbeError::kprobe("attach a kprobe", &error)
            )
        })?;
    }
    Ok(())
}

/// The ring that the hooks on `stop_machine` write to.
pub struct StopRing {
    ring: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
}

impl StopRing {
    pub(super) fn new(bpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let mut map = |name: &str| {
            bpf.take_map(name).ok_or_else(|| ProbeError::Failed {
                action: "open the BPF maps",
                reason: format!("the object has no `{name}`"),
            })
        };
        let (ring, lost) = (map("STOPS")?, map("STOPS_LOST")?);
        let fail = |error| ProbeError::new("open the BPF maps", &error);
        Ok(Self {
            ring: RingBuf::try_from(ring).map_err(fail)?,
            lost: PerCpuArray::try_from(lost).map_err(fail)?,
        })
    }

    /// All spans there are now, oldest first.
    pub fn drain(&mut self) -> Vec<CpuStop> {
        let mut spans = Vec::new();
        while let Some(item) = self.ring.next() {
            if let Some(record) = decode(&item) {
                spans.push(span(&record));
            } else {
                tracing::warn!(bytes = item.len(), "unknown record of a stop");
            }
        }
        spans
    }

    /// Records lost because the ring was full, since the hooks were attached.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.get(&0, 0).map_or(0, |counts| counts.iter().sum())
    }
}

impl AsFd for StopRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

fn span(record: &StopRecord) -> CpuStop {
    let StopRecord {
        begun_ns,
        ended_ns,
        stop,
        function,
        cpu,
        cpus,
    } = *record;
    CpuStop {
        stop,
        function,
        cpu,
        cpus,
        begun: Duration::from_nanos(begun_ns),
        ended: Duration::from_nanos(ended_ns),
    }
}
