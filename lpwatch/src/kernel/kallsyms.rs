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

/// The kernel's own name among the objects.
pub use lpwatch_common::patch::VMLINUX;

/// A symbol by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol {
    /// [`VMLINUX`] or a module.
    pub object: String,
    pub name: String,
}
