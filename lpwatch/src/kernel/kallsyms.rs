//! Symbols of the running kernel, from `<procfs>/kallsyms`. This is the only
//! reader of that file.
//!
//! Source: `kernel/kallsyms.c`, 5.10 to 7.3: lines of `address type name`,
//! first those of vmlinux, then, with `\t[module]` after the name, those of
//! modules, ftrace, BPF and kprobes. There are no sizes. Formatting 200,000
//! lines costs the kernel tens of milliseconds: each search takes one pass, and
//! a search in vmlinux alone ends at the first line of a module.

mod functions;
mod lines;
mod matches;
mod names;
mod stack;
mod suffixes;
mod wanted;

pub use functions::{Functions, find_functions};
pub use lines::{KeptSymbols, keep_symbols};
pub use matches::{Matches, ObjectSymbols, SymbolPlace, find_matches};
pub use names::{Names, find_names};
pub use stack::{Location, PrintedFrame, Symbolizer, parse_frame};

use super::Roots;

/// The kernel's own name among the objects.
pub use lpwatch_common::patch::VMLINUX;

/// Why this kernel hides the addresses of its symbols from this process, as the end of
/// a sentence (`kallsyms_show_value`, kernel/kallsyms.c).
#[must_use]
pub fn why_hidden(roots: &Roots) -> String {
    let setting = roots.procfs.join("sys/kernel/kptr_restrict");
    let level = std::fs::read_to_string(setting).ok();
    match level.as_deref().map(str::trim) {
        Some("0" | "1") => {
            "the kernel shows the addresses of its symbols to CAP_SYSLOG only".to_owned()
        }
        Some(level) => format!(
            "kernel.kptr_restrict={level} hides the addresses of the kernel's symbols from \
             everyone, root included"
        ),
        None => "the kernel hides the addresses of its symbols (kptr_restrict, no CAP_SYSLOG)"
            .to_owned(),
    }
}

/// A symbol by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol {
    /// [`VMLINUX`] or a module.
    pub object: String,
    pub name: String,
}
