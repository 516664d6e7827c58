//! Calls of watched functions, counted at their entry.
//!
//! A call is counted by the state of the calling task and by the epoch. Both are
//! read here. The kernel's own redirection uses the same two values
//! (`klp_ftrace_handler`, kernel/livepatch/patch.c). User space knows the patches
//! of each epoch, so it decides which code the call ran.
//!
//! If a task is preempted in this program, the program does not run for other
//! tasks on its CPU. The kernel counts those calls (`recursion_misses`), and user
//! space adds them.
//!
//! One program serves any number of functions. The cookie of its link is the slot of
//! the function. Before kernel 5.15 there are no cookies: the address of the entry
//! selects the slot.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_F_MMAPABLE,
    helpers::generated::{
        bpf_get_attach_cookie, bpf_get_current_task, bpf_get_current_task_btf,
        bpf_get_smp_processor_id,
    },
    macros::{fentry, kprobe, map},
    maps::{Array, HashMap},
    programs::{FEntryContext, ProbeContext},
};
use lpwatch_common::calls::{
    BUCKETS, EPOCHS, SLOTS, STATES, Slot, bucket, place, rest_after, transition_after,
};

use crate::kernel;

/// The start addresses of functions, and their slots; empty where links have cookies.
/// A hook reports its address in one of several forms, so each function has a few
/// entries here.
#[map]
static SLOT_OF: HashMap<u64, u32> = HashMap::with_max_entries(4 * SLOTS, 0);

/// The slots, CPU after CPU ([`place`]). User space knows the number of CPUs and
/// sets the size.
///
/// This is not a per-CPU array. Only system calls can read such an array, and
/// during one, kprobes on its CPU do not run (`bpf_disable_instrumentation`,
/// include/linux/bpf.h). If the reader is preempted then, the calls of other tasks
/// are lost. User space maps this array instead.
#[map]
static CALLS: Array<Slot> = Array::with_max_entries(SLOTS, BPF_F_MMAPABLE);

/// The current epoch. User space sets it once, before it attaches anything. It is a
/// whole word, because user space reads words.
#[map]
static EPOCH: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The epoch now.
pub fn epoch() -> u32 {
    EPOCH.get(0).map_or(0, |epoch| *epoch as u32)
}

/// A transition begins: a new epoch.
pub fn transition_begins() {
    turn(transition_after);
}

/// A transition ends: a new epoch.
pub fn transition_ends() {
    turn(rest_after);
}

fn turn(to: impl Fn(u32) -> u32) {
    if let Some(epoch) = EPOCH.get_ptr_mut(0) {
        // SAFETY: a valid pointer; transitions begin and end one at a time,
        // under klp_mutex.
        unsafe { *epoch = u64::from(to(*epoch as u32)) };
    }
}

/// Counts a call by a task in this `patch_state`.
#[inline(always)]
fn count(slot: u32, patch_state: i32) {
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(calls) = CALLS.get_ptr_mut(place(cpu, slot)) else {
        return;
    };
    // The states are -1, 0 and 1; anything else is taken for "none".
    let state = patch_state.wrapping_add(1) as usize;
    let state = if state < STATES { state } else { 0 };
    let bucket = bucket(epoch() % EPOCHS as u32, state);
    if bucket < BUCKETS {
        // SAFETY: a valid pointer to this CPU's own slot, and within it.
        let calls = unsafe { &mut (*calls)[bucket] };
        *calls = calls.wrapping_add(1);
    }
}

/// Counts a call in the slot that is the cookie of the link.
#[inline(always)]
fn count_by_cookie(ctx: &impl EbpfContext) {
    // SAFETY: the context is the kernel's.
    let slot = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } as u32;
    // SAFETY: the helper has no preconditions.
    let task: *const i32 = unsafe { bpf_get_current_task_btf() }.cast_const().cast();
    // SAFETY: the offset is that of `patch_state`, and the pointer is typed.
    let state = unsafe {
        task.byte_add(kernel::OFF_TASK_PATCH_STATE.load() as usize)
            .read_volatile()
    };
    count(slot, state);
}

/// Loaded only if fentry and livepatch can share a function (6.0 on). Cookies (5.19)
/// and the typed task (5.11) exist there.
#[fentry]
pub fn count_fentry(ctx: FEntryContext) -> u32 {
    count_by_cookie(&ctx);
    0
}

/// On one function by kprobe (cookies from 5.15 on), or on many by kprobe.multi (5.18
/// on): user space says which when it loads the program.
#[kprobe]
pub fn count_cookie(ctx: ProbeContext) -> u32 {
    count_by_cookie(&ctx);
    0
}

#[kprobe]
pub fn count_kprobe(ctx: ProbeContext) -> u32 {
    let registers = ctx.regs;
    // SAFETY: the context is the kernel's.
    let address = unsafe { instruction_pointer(registers) };
    // SAFETY: the element is copied at once.
    let Some(&slot) = (unsafe { SLOT_OF.get(address) }) else {
        return 0;
    };
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() } as *const u8;
    count(slot, kernel::patch_state(task));
    0
}

/// The address of the probe, from this processor's registers.
///
/// # Safety
/// `registers` must be the context of a kprobe.
#[inline(always)]
unsafe fn instruction_pointer(registers: *const aya_ebpf::bindings::pt_regs) -> u64 {
    // SAFETY: see above.
    unsafe {
        #[cfg(bpf_target_arch = "x86_64")]
        return (*registers).rip;
        #[cfg(bpf_target_arch = "aarch64")]
        return (*registers).pc;
        #[cfg(bpf_target_arch = "s390x")]
        return (*registers).psw.addr;
        #[cfg(bpf_target_arch = "powerpc64")]
        return (*registers).nip;
        #[cfg(not(any(
            bpf_target_arch = "x86_64",
            bpf_target_arch = "aarch64",
            bpf_target_arch = "s390x",
            bpf_target_arch = "powerpc64"
        )))]
        {
            let _ = registers;
            0
        }
    }
}
