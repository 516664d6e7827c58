//! Symbols of the running kernel, from `<procfs>/kallsyms`: the only reader of
//! that file, and the questions put to it.
//!
//! Source: `kernel/kallsyms.c`, 5.10 to 7.3: lines of `address type name`, first
//! those of vmlinux, then, with `\t[module]` behind the name, those of modules,
//! ftrace, BPF and kprobes. There are no sizes. Formatting 200,000 lines costs
//! the kernel tens of milliseconds: each question takes one pass, and one about
//! vmlinux alone ends at the first line of a module.

mod functions;
mod lines;
mod matches;
mod names;
mod stack;
mod suffixes;
mod wanted;

pub use functions::{Functions, find_functions};
pub use matches::{Matches, ObjectSymbols, Place, find_matches};
pub use names::{Names, find_names};
pub use stack::{Location, Symbolizer, parse_frame};

/// The name of the kernel itself among objects.
pub use lpwatch_common::patch::VMLINUX;

/// A symbol by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol {
    /// [`VMLINUX`] or a module.
    pub object: String,
    pub name: String,
}
