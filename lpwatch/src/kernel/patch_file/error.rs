//! Why a module file could not be read at all.

use std::io;

use strum::Display;

/// A module file that lpwatch could not read. The reason is the error's source,
/// so print the whole chain (`{:#}` of `anyhow`).
#[derive(Debug, thiserror::Error)]
#[error("cannot read the module {file}")]
pub struct PatchFileError {
    /// The file, as it was given.
    pub file: String,
    #[source]
    pub problem: Problem,
}

/// Why a module file cannot be read.
///
/// `PatchFile::unread`, not this type, lists what could not be read *within* an
/// otherwise sound module.
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
        "it unpacks ({packing}) to more than {limit} bytes, the most lpwatch reads: it is not a kernel module, or a damaged one"
    )]
    UnpacksTooLarge { packing: Packing, limit: u64 },

    #[error("its {packing} data is damaged or cut off")]
    Unpack { packing: Packing, source: io::Error },

    #[error(
        "it is not an ELF file, so not a kernel module (a .ko, or one packed by gzip, xz or zstd, is expected)"
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

    #[error("the file is cut off: {what} would end at byte {needed}, and the file has {size}")]
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

/// How a module file is packed, recognized by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Packing {
    Gzip,
    Xz,
    Zstd,
}
