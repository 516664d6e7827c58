//! BPF programs of somebody else: one that does harm, and two to measure
//! lpwatch's own against.

#![no_std]
#![no_main]

use core::ffi::c_void;

use aya_ebpf::{
    macros::{fentry, kprobe, map},
    maps::PerCpuArray,
    programs::{FEntryContext, ProbeContext},
};

/// An fexit program that does nothing. That it is attached is enough to keep
/// tasks asleep in its function from switching.
#[unsafe(link_section = "fexit/hrtimer_nanosleep")]
#[unsafe(no_mangle)]
extern "C" fn foreign_exit(_: *mut c_void) -> i32 {
    0
}

/// The least that a hook at a function's entry can do.
#[fentry]
pub fn empty_entry(_: FEntryContext) -> u32 {
    0
}

/// What [`kprobe_counter`] has counted on each CPU.
#[map]
static CALLED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The least that counts: one number for each CPU.
#[kprobe]
pub fn kprobe_counter(_: ProbeContext) -> u32 {
    if let Some(called) = CALLED.get_ptr_mut(0) {
        // SAFETY: a valid pointer, and this CPU's own number.
        unsafe { *called = (*called).wrapping_add(1) };
    }
    0
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
