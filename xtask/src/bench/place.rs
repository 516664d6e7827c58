//! When and on what a benchmark was run: no name of a machine, and no more
//! than is needed to compare figures.

use std::process::Command;
use std::thread;

use jiff::Zoned;

use super::boot::{CPUS, MEMORY_MIB};
use crate::process;

/// One line about it.
pub fn line() -> String {
    let date = Zoned::now().date();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{date}; {}, TCG in one thread, {CPUS} processors, {MEMORY_MIB} MiB, \
         on an {} host with {processors} processors",
        qemu(),
        std::env::consts::ARCH,
    )
}

/// `QEMU 7.2.22`
fn qemu() -> String {
    let text = process::ask(Command::new("qemu-system-x86_64").arg("--version"));
    let words = text.unwrap_or_default();
    let version = words
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    format!("QEMU {}", version.unwrap_or("of an unknown version"))
}
