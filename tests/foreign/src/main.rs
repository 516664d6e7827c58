//! A BPF program of somebody else: an fexit program that does nothing. That it
//! is attached is enough to keep tasks asleep in its function from switching.

#![no_std]
#![no_main]

use core::ffi::c_void;

#[unsafe(link_section = "fexit/hrtimer_nanosleep")]
#[unsafe(no_mangle)]
extern "C" fn foreign_exit(_: *mut c_void) -> i32 {
    0
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
