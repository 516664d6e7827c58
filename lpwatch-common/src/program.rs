//! What the iterators over BPF programs and BPF links write: one record for each
//! program and link on the host, of any owner.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `BPF_OBJ_NAME_LEN` (include/uapi/linux/bpf.h).
pub const PROGRAM_NAME_LEN: usize = 16;

/// `BPF_TAG_SIZE` (include/uapi/linux/bpf.h).
pub const TAG_LEN: usize = 8;

/// Room for the name of a function, its NUL included. A name that fills it may
/// have been cut off.
pub const FUNCTION_NAME_LEN: usize = 64;

/// `attached` of a program that is loaded, but attached to no trampoline.
pub const ATTACHED_NO: u32 = 0;
/// `attached` of a program that is attached to its trampoline.
pub const ATTACHED_YES: u32 = 1;
/// `attached` if the program does not contain it: since 5.19 its links do.
pub const ATTACHED_UNKNOWN: u32 = 2;

/// `BPF_PROG_TYPE_TRACING` (include/uapi/linux/bpf.h).
pub const PROGRAM_TRACING: u32 = 26;
/// `BPF_PROG_TYPE_LSM`.
pub const PROGRAM_LSM: u32 = 29;

/// `BPF_TRACE_FEXIT` (include/uapi/linux/bpf.h).
pub const ATTACH_FEXIT: u32 = 25;
/// `BPF_MODIFY_RETURN`.
pub const ATTACH_MODIFY_RETURN: u32 = 26;
/// `BPF_LSM_MAC`.
pub const ATTACH_LSM_MAC: u32 = 27;

/// One BPF program. What could not be read is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct ProgramRecord {
    /// `bpf_prog.aux->id`.
    pub id: u32,
    /// `bpf_prog.type` (`BPF_PROG_TYPE_*`).
    pub kind: u32,
    /// `bpf_prog.expected_attach_type` (`BPF_TRACE_*` and others).
    pub attach_type: u32,
    /// One of `ATTACHED_*`.
    pub attached: u32,
    /// `bpf_prog.aux->attach_btf_id`: the traced function's id in its BTF.
    pub function: u32,
    /// `bpf_prog.aux->attach_btf->id`: that BTF's own id; 0 before 5.11, which
    /// has no such member.
    pub btf: u32,
    /// `bpf_prog.tag`.
    pub tag: [u8; TAG_LEN],
    /// `bpf_prog.aux->name`, NUL padded.
    pub name: [u8; PROGRAM_NAME_LEN],
    /// `bpf_prog.aux->attach_func_name`, NUL padded.
    pub function_name: [u8; FUNCTION_NAME_LEN],
    /// The name in its symbol (`bpf_prog.aux->ksym.name`), NUL padded: that of
    /// its own function, where the program has BTF.
    pub symbol_name: [u8; FUNCTION_NAME_LEN],
}

const _: () = assert!(size_of::<ProgramRecord>() == 176);

/// One link that attaches a program to a trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct LinkRecord {
    /// `bpf_tracing_link.trampoline->key`: the number in the trampoline's
    /// symbol.
    pub key: u64,
    /// `bpf_link.id`.
    pub id: u32,
    /// `bpf_link.prog->aux->id`.
    pub program: u32,
}

const _: () = assert!(size_of::<LinkRecord>() == 16);
