//! The kernel's own data as this kernel lays it out.
//!
//! User space finds the offsets in the running kernel's BTF and the addresses
//! in kallsyms, and writes them into these constants before loading. The
//! verifier sees them as constants and drops the branches they rule out.

use aya_ebpf::{
    Global,
    helpers::{bpf_probe_read_kernel, generated::bpf_get_current_task},
};
use lpwatch_common::transition::{
    DIRECTION_UNKNOWN, LOGIN_UID_UNSET, REPLACE_UNKNOWN, TRIES_UNKNOWN,
};
use lpwatch_common::{COMM_LEN, PATCH_NAME_LEN};

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
    if address == ABSENT_ADDRESS {
        return None;
    }
    // SAFETY: the helper checks the address and fails rather than faults.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// The member of type `T` at `offset` of the object at `base`.
pub fn read_member<T>(base: *const u8, offset: &Global<u32>) -> Option<T> {
    let offset = offset.load();
    if base.is_null() || offset == ABSENT_OFFSET {
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

/// `task->comm`; all zero when it cannot be read.
pub fn comm(task: *const u8) -> [u8; COMM_LEN] {
    read_member(task, &OFF_TASK_COMM).unwrap_or([0; COMM_LEN])
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

/// Whether the task is on a CPU; `false` on kernels that do not say.
pub fn on_cpu(task: *const u8) -> bool {
    read_member::<u8>(task, &OFF_TASK_ON_CPU).is_some_and(|on_cpu| on_cpu != 0)
}
