//! The kernel's own verdict on each task, and how tasks switch.
//!
//! `klp_check_and_switch_task` returns 0 (switched), -EADDRINUSE, -EBUSY or
//! -EINVAL. A kretprobe reads the return value. User space attaches it only on
//! kernels and processors where it is harmless. A bounded map keeps one answer per
//! task. There is no event per task, so 50,000 threads do not flood the ring buffer.

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel, bpf_probe_read_kernel_str_bytes,
        generated::{bpf_get_current_task, bpf_ktime_get_boot_ns},
    },
    macros::{fentry, kprobe, kretprobe, map},
    maps::{Array, LruHashMap, PerCpuArray},
    programs::{FEntryContext, ProbeContext, RetProbeContext},
};
use lpwatch_common::{
    transition::DIRECTION_UNKNOWN,
    verdict::{
        FUNCTION_LEN, SWITCHED_CHECKED, SWITCHED_FORCED, SWITCHED_IDLE, SWITCHED_USER_RETURN,
        SWITCHED_WAYS, VerdictRecord,
    },
};

use crate::kernel;

/// -EADDRINUSE: the only answer with a function name. For the other answers the
/// caller's slot is uninitialised and must not be read.
const SLEEPING_ON_FUNCTION: i32 = -98;

/// The answers by thread id. User space sets the size, by the number of threads. If more
/// tasks are left, the entries that were not updated for longest are evicted.
#[map]
static VERDICTS: LruHashMap<u32, VerdictRecord> = LruHashMap::with_max_entries(16384, 0);

/// Counts transitions and reversals, see [`VerdictRecord::generation`].
#[map]
static GENERATION: Array<u32> = Array::with_max_entries(1, 0);

/// Tasks that have switched, by how they did, in all transitions since loading.
#[map]
static SWITCHED: PerCpuArray<u64> = PerCpuArray::with_max_entries(SWITCHED_WAYS, 0);

/// The arguments of the current check on this CPU, as addresses. The check runs with
/// preemption off, so each CPU has only one at a time.
#[derive(Clone, Copy)]
#[repr(C)]
struct Check {
    task: u64,
    function: u64,
}

#[map]
static CHECKS: PerCpuArray<Check> = PerCpuArray::with_max_entries(1, 0);

/// Begins a new generation of answers.
pub fn forget() {
    if let Some(generation) = GENERATION.get_ptr_mut(0) {
        // SAFETY: valid pointer; transitions begin one at a time, under
        // klp_mutex.
        unsafe { *generation = (*generation).wrapping_add(1) };
    }
}

fn count(way: u32) {
    if let Some(switched) = SWITCHED.get_ptr_mut(way) {
        // SAFETY: a valid pointer to this CPU's own element.
        unsafe { *switched += 1 };
    }
}

#[kprobe]
pub fn check_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(check) = CHECKS.get_ptr_mut(0) {
        let task = ctx.arg(0).unwrap_or(0);
        let function = ctx.arg(1).unwrap_or(0);
        // SAFETY: a valid pointer to this CPU's own element.
        unsafe { *check = Check { task, function } };
    }
    0
}

#[kretprobe]
pub fn check_kretprobe(ctx: RetProbeContext) -> u32 {
    let Some(check) = CHECKS.get(0) else { return 0 };
    let Check { task, function } = *check;
    let (code, Some(tid)) = (ctx.ret::<i32>(), kernel::tid(task as *const u8)) else {
        return 0;
    };
    if code == 0 {
        let _ = VERDICTS.remove(tid);
        count(SWITCHED_CHECKED);
    } else {
        keep(tid, code, function as *const *const u8);
    }
    0
}

/// Keeps an answer other than "switched".
fn keep(tid: u32, code: i32, function: *const *const u8) {
    let generation = GENERATION.get(0).copied().unwrap_or(0);
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(kept) = VERDICTS.get_ptr_mut(tid) else {
        let mut fresh = VerdictRecord {
            first_ns: now,
            last_ns: now,
            generation,
            tries: 1,
            code,
            padding: 0,
            function: [0; FUNCTION_LEN],
        };
        read_function(code, function, &mut fresh.function);
        let _ = VERDICTS.insert(tid, fresh, 0);
        return;
    };
    // SAFETY: a valid pointer; the kernel looks at a task under its pi_lock,
    // so no other CPU writes this one's answer.
    let kept = unsafe { &mut *kept };
    if kept.generation != generation {
        kept.generation = generation;
        kept.first_ns = now;
        kept.tries = 0;
    }
    kept.last_ns = now;
    kept.tries = kept.tries.wrapping_add(1);
    kept.code = code;
    kept.function = [0; FUNCTION_LEN];
    read_function(code, function, &mut kept.function);
}

#[inline(always)]
fn read_function(code: i32, slot: *const *const u8, name: &mut [u8; FUNCTION_LEN]) {
    if code != SLEEPING_ON_FUNCTION {
        return;
    }
    // SAFETY: the helper checks the address and fails rather than faults.
    if let Ok(function) = unsafe { bpf_probe_read_kernel(slot) } {
        // SAFETY: as above.
        let _ = unsafe { bpf_probe_read_kernel_str_bytes(function, name) };
    }
}

/// `klp_update_patch_state(task)`: on return to user space, in the idle loop,
/// and for every task when an operator forces.
fn updated(task: *const u8) {
    let target = kernel::target_state();
    let state = kernel::patch_state(task);
    if target == DIRECTION_UNKNOWN || state == DIRECTION_UNKNOWN || state == target {
        return;
    }
    // SAFETY: the helper has no preconditions.
    let current = unsafe { bpf_get_current_task() } as *const u8;
    count(if current != task {
        SWITCHED_FORCED
    } else if bpf_get_current_pid_tgid() == 0 {
        SWITCHED_IDLE
    } else {
        SWITCHED_USER_RETURN
    });
}

#[fentry]
pub fn updated_fentry(ctx: FEntryContext) -> u32 {
    updated(ctx.arg(0));
    0
}

#[kprobe]
pub fn updated_kprobe(ctx: ProbeContext) -> u32 {
    updated(ctx.arg(0).unwrap_or(core::ptr::null()));
    0
}
