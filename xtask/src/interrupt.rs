//! Ctrl-C: the first asks everything to stop tidily, the second does not ask.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static ASKED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a program ended by Ctrl-C.
pub const EXIT_CODE: u8 = 130;

/// Starts listening for Ctrl-C and termination.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // QEMU is told by the kernel to go when we do (see vm::qemu).
            process::exit(i32::from(EXIT_CODE));
        }
    })
    .context("cannot install a handler for Ctrl-C")
}

/// Whether the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Stops as if the user had pressed Ctrl-C.
pub fn ask() {
    ASKED.store(true, Ordering::SeqCst);
}
