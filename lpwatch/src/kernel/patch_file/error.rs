//! Why a module file could not be read at all.

use std::io;

use strum::Display;

/// A module file that lpwatch could not read; why is the error's source, so
/// print the whole chain (`{:#}` of `anyhow`).
#[derive(Debug, thiserror::Error)]
#[error("cannot read the module {file}")]
pub struct PatchFileError {
    /// The file, as it was named.
    pub file: String,
    #[source]
    pub problem: Problem,
}

/// What was wrong with a module file.
///
/// What could not be read *within* a module that is otherwise sound is told in
/// `PatchFile::unread`, not here.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Io(io::Error),

    #[error("it is {what}, not a file")]
    NotAFile { what: &'static str },

    #[error("the file is empty")]
    Empty,

    #[error("the file has more than {limit} bytes, the most lpwatch reads")]
    TooLarge { limit: u64 },

    #[error(
        "it unpacks ({packing}) to more than {limit} bytes, the most lpwatch reads: this is no kernel module or a damaged one"
    )]
    UnpacksTooLarge { packing: Packing, limit: u64 },

    #[error("its {packing} data is damaged or cut short")]
    Unpack { packing: Packing, source: io::Error },

    #[error(
        "it is no ELF file, so no kernel module (a .ko, or one packed by gzip, xz or zstd, is expected)"
    )]
    NotElf,

    #[error(
        "it is a 32-bit module; lpwatch reads those of 64-bit kernels, the only ones that lpwatch runs on"
    )]
    Bits32,

    #[error("it is {what}, not a kernel module (a relocatable ELF file)")]
    NotRelocatable { what: &'static str },

    #[error(
        "it is for a processor (ELF machine {machine}, {order}) for which lpwatch knows no live patching"
    )]
    UnknownMachine { machine: u16, order: &'static str },

    #[error("the file is cut short: {what} would end at byte {needed}, and the file has {size}")]
    Truncated {
        what: &'static str,
        needed: u64,
        size: u64,
    },

    #[error("the module has no symbols: the kernel refuses it (was it stripped too far?)")]
    NoSymbols,

    #[error("its ELF structure is damaged: {what}")]
    Damaged { what: String },
}

/// How a module file is packed, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Packing {
    Gzip,
    Xz,
    Zstd,
}
