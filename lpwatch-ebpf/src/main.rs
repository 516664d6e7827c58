//! The BPF programs of lpwatch, one file per concern.
//!
//! Nothing here may keep a task from switching: no fexit, no `fmod_ret`, and
//! nothing that leaves a trampoline on the stack of a sleeping task.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    unsafe_code,
    reason = "reading kernel memory and calling BPF helpers is unsafe by nature"
)]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows typed pointers within one function only"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "aya hands contexts over by value"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "lengths are small constants, and TryFrom costs the verifier branches"
)]

mod calls;
mod kernel;
mod patches;
mod programs;
mod stops;
mod tasks;
mod transition;
mod verdicts;

/// The kernel refuses GPL-only helpers to programs that do not state this.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects any path that could get here, so it is never run.
    loop {}
}

/// On the host the programs are only checked and linted.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
