//! How long `stop_machine` holds each CPU: two entry kprobes.
//!
//! `multi_cpu_stop` runs in each CPU's stopper thread `migration/N`. It spins there
//! until all CPUs have arrived and the work is done. When the stopper's queue is
//! empty, the kernel enters `cpu_stop_should_run`. That entry marks the end. So no
//! frame of lpwatch is on a stack while the machine is stopped.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_current_comm, bpf_get_smp_processor_id, generated::bpf_ktime_get_boot_ns},
    macros::{kprobe, map},
    maps::{PerCpuArray, RingBuf},
    programs::ProbeContext,
};
use lpwatch_common::stops::StopRecord;

use crate::kernel::{self, ABSENT_OFFSET, constants};

constants! {
    /// `struct multi_stop_data.fn` (`kernel/stop_machine.c`)
    OFF_STOP_FUNCTION: u32 = ABSENT_OFFSET;
    /// `struct multi_stop_data.num_threads`
    OFF_STOP_CPUS: u32 = ABSENT_OFFSET;
    /// `migrate_swap_stop` (kernel/sched/core.c): NUMA balancing stops two CPUs
    /// for it, often, and never the machine.
    ADDR_MIGRATE_SWAP: u64 = 0;
}

/// One record per CPU: 64 KiB hold a stop of a thousand CPUs.
#[map]
static STOPS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// Records that found no room in [`STOPS`].
#[map]
static STOPS_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The stop that holds this CPU; `begun_ns` is 0 if none does.
#[map]
static HELD: PerCpuArray<StopRecord> = PerCpuArray::with_max_entries(1, 0);

/// `stop_machine_from_inactive_cpu` calls `multi_cpu_stop` outside of a stopper
/// thread. There would be no entry that marks the end.
fn in_stopper() -> bool {
    bpf_get_current_comm().is_ok_and(|comm| comm.starts_with(b"migration/"))
}

fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Sends what is open on this CPU, if anything is.
fn end(held: &mut StopRecord) {
    if held.begun_ns == 0 {
        return;
    }
    held.ended_ns = now();
    if STOPS.output::<StopRecord>(&*held, 0).is_err()
        && let Some(lost) = STOPS_LOST.get_ptr_mut(0)
    {
        // SAFETY: a valid pointer to this CPU's own element.
        unsafe { *lost += 1 };
    }
    held.begun_ns = 0;
}

/// `multi_cpu_stop(void *data)`.
#[kprobe]
pub fn stop_begins(ctx: ProbeContext) -> u32 {
    let data: *const u8 = ctx.arg(0).unwrap_or(core::ptr::null());
    let function: u64 = kernel::read_member(data, &OFF_STOP_FUNCTION).unwrap_or(0);
    let ignored = ADDR_MIGRATE_SWAP.load();
    if (ignored != 0 && function == ignored) || !in_stopper() {
        return 0;
    }
    let Some(held) = HELD.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a valid pointer to this CPU's own element, which no other program
    // uses meanwhile: the stopper is the CPU's most urgent thread.
    let held = unsafe { &mut *held };
    // Two stops in one go: the second ends the first.
    end(held);
    *held = StopRecord {
        begun_ns: now(),
        ended_ns: 0,
        stop: data as u64,
        function,
        // SAFETY: the helper has no preconditions.
        cpu: unsafe { bpf_get_smp_processor_id() },
        cpus: kernel::read_member(data, &OFF_STOP_CPUS).unwrap_or(0),
    };
    0
}

/// `cpu_stop_should_run(unsigned int cpu)`.
#[kprobe]
pub fn stop_ends(_ctx: ProbeContext) -> u32 {
    if let Some(held) = HELD.get_ptr_mut(0) {
        // SAFETY: as above.
        end(unsafe { &mut *held });
    }
    0
}
