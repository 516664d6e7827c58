//! The kernel's own data as this kernel lays it out.
//!
//! User space finds the offsets in the running kernel's BTF and the addresses
//! in kallsyms, and writes them into these constants before loading. The
//! verifier sees them as constants and drops the branches they rule out.

use aya_ebpf::{
    Global,
    helpers::{bpf_probe_read_kernel, generated::bpf_get_current_task},
};
use lpwatch_common::PATCH_NAME_LEN;
use lpwatch_common::transition::{
    DIRECTION_UNKNOWN, LOGIN_UID_UNSET, REPLACE_UNKNOWN, TRIES_UNKNOWN,
};

/// An offset or address that this kernel does not have.
pub const ABSENT_OFFSET: u32 = u32::MAX;
const ABSENT_ADDRESS: u64 = 0;

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $absent:expr;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub static $name: Global<$type> = Global::new($absent);
    )*};
}
pub(crate) use constants;

constants! {
    /// 0 if the kernel is locked down, so that no helper may read its memory
    READS_MEMORY: u32 = 1;
    /// `struct klp_patch.mod`
    OFF_PATCH_MOD: u32 = ABSENT_OFFSET;
    /// `struct klp_patch.replace`
    OFF_PATCH_REPLACE: u32 = ABSENT_OFFSET;
    /// `struct module.name`
    OFF_MODULE_NAME: u32 = ABSENT_OFFSET;
    /// `struct task_struct.pid`
    OFF_TASK_PID: u32 = ABSENT_OFFSET;
    /// `struct task_struct.tgid`
    OFF_TASK_TGID: u32 = ABSENT_OFFSET;
    /// `struct task_struct.comm`
    OFF_TASK_COMM: u32 = ABSENT_OFFSET;
    /// `struct task_struct.flags`
    OFF_TASK_FLAGS: u32 = ABSENT_OFFSET;
    /// `struct task_struct.__state`, or `state` before 5.14
    OFF_TASK_STATE: u32 = ABSENT_OFFSET;
    /// `struct task_struct.patch_state`
    OFF_TASK_PATCH_STATE: u32 = ABSENT_OFFSET;
    /// `struct task_struct.loginuid`, with `CONFIG_AUDIT`
    OFF_TASK_LOGIN_UID: u32 = ABSENT_OFFSET;
    /// The lowest byte of `struct task_struct.on_cpu`
    OFF_TASK_ON_CPU: u32 = ABSENT_OFFSET;
    /// `struct klp_patch *klp_transition_patch` (kernel/livepatch/transition.c)
    ADDR_TRANSITION_PATCH: u64 = ABSENT_ADDRESS;
    /// `int klp_target_state` (kernel/livepatch/transition.c)
    ADDR_TARGET_STATE: u64 = ABSENT_ADDRESS;
    /// `unsigned int klp_signals_cnt` (kernel/livepatch/transition.c)
    ADDR_SIGNALS_COUNT: u64 = ABSENT_ADDRESS;
}

/// The value of a global variable of the kernel; `None` when its address is
/// not known or the read failed.
fn read_global<T>(address: &Global<u64>) -> Option<T> {
    let address = address.load();
    if address == ABSENT_ADDRESS || READS_MEMORY.load() == 0 {
        return None;
    }
    // SAFETY: the helper checks the address and fails rather than faults.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// The member of type `T` at `offset` of the object at `base`.
pub fn read_member<T>(base: *const u8, offset: &Global<u32>) -> Option<T> {
    let offset = offset.load();
    if base.is_null() || offset == ABSENT_OFFSET || READS_MEMORY.load() == 0 {
        return None;
    }
    // SAFETY: the helper checks the address and fails rather than faults.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset as usize).cast()) }.ok()
}

/// `klp_transition_patch`: the patch in transition, or null.
pub fn transition_patch() -> *const u8 {
    read_global(&ADDR_TRANSITION_PATCH).unwrap_or(core::ptr::null())
}

/// `klp_target_state`, or [`DIRECTION_UNKNOWN`].
pub fn target_state() -> i32 {
    read_global(&ADDR_TARGET_STATE).unwrap_or(DIRECTION_UNKNOWN)
}

/// `klp_signals_cnt`: how often the kernel has tried before in this
/// transition, or [`TRIES_UNKNOWN`].
pub fn tries() -> u32 {
    read_global(&ADDR_SIGNALS_COUNT).unwrap_or(TRIES_UNKNOWN)
}

/// `patch->mod->name`; all zero when it cannot be read.
pub fn patch_name(patch: *const u8) -> [u8; PATCH_NAME_LEN] {
    module_name(read_member(patch, &OFF_PATCH_MOD).unwrap_or(core::ptr::null()))
}

/// `module->name`; all zero when it cannot be read.
pub fn module_name(module: *const u8) -> [u8; PATCH_NAME_LEN] {
    read_member(module, &OFF_MODULE_NAME).unwrap_or([0; PATCH_NAME_LEN])
}

/// `patch->replace` as 0 or 1, or [`REPLACE_UNKNOWN`].
pub fn patch_replace(patch: *const u8) -> u32 {
    read_member::<u8>(patch, &OFF_PATCH_REPLACE).map_or(REPLACE_UNKNOWN, u32::from)
}

/// `task->pid`.
pub fn tid(task: *const u8) -> Option<u32> {
    read_member(task, &OFF_TASK_PID)
}

/// `task->patch_state`, or [`DIRECTION_UNKNOWN`] outside a transition.
pub fn patch_state(task: *const u8) -> i32 {
    read_member(task, &OFF_TASK_PATCH_STATE).unwrap_or(DIRECTION_UNKNOWN)
}

/// The user who logged in of the current task, or [`LOGIN_UID_UNSET`].
pub fn login_uid() -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    read_member(task as *const u8, &OFF_TASK_LOGIN_UID).unwrap_or(LOGIN_UID_UNSET)
}

/// A member read straight through a pointer whose type the verifier knows: no helper
/// is needed.
///
/// # Safety
/// `base` must be such a pointer, and `offset` that of a member of type `T`.
#[inline(always)]
pub unsafe fn typed_member<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: see above; the verifier checks the access against BTF.
    unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
}

/// [`patch_name`] of a typed pointer.
///
/// # Safety
/// `patch` must be a typed pointer to a `struct klp_patch`.
#[inline(always)]
pub unsafe fn typed_patch_name(patch: *const u8) -> [u8; PATCH_NAME_LEN] {
    const WORD: usize = size_of::<u64>();
    let (module, name) = (OFF_PATCH_MOD.load(), OFF_MODULE_NAME.load());
    let mut text = [0; PATCH_NAME_LEN];
    if module == ABSENT_OFFSET || name == ABSENT_OFFSET {
        return text;
    }
    // SAFETY: the offset is that of a pointer to a module.
    let module: *const u8 = unsafe { typed_member(patch, module) };
    for (index, word) in text.chunks_exact_mut(WORD).enumerate() {
        // SAFETY: a word of the name; where the array is shorter, the verifier refuses.
        let read: u64 = unsafe { typed_member(module, name + (index * WORD) as u32) };
        word.copy_from_slice(&read.to_ne_bytes());
    }
    text
}

/// [`patch_replace`] of a typed pointer.
///
/// # Safety
/// As for [`typed_patch_name`].
#[inline(always)]
pub unsafe fn typed_patch_replace(patch: *const u8) -> u32 {
    let offset = OFF_PATCH_REPLACE.load();
    if offset == ABSENT_OFFSET {
        return REPLACE_UNKNOWN;
    }
    // SAFETY: the offset is that of a bool.
    let replace: u8 = unsafe { typed_member(patch, offset) };
    u32::from(replace)
}
