//! What the walk through the kernel's own list of patches writes: one record
//! for each function of each object of each patch.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::PATCH_NAME_LEN;

/// The name of the kernel itself among the objects of a patch
/// (kernel/livepatch/core.c).
pub const VMLINUX: &str = "vmlinux";

/// Room for the name of a function or an object, its NUL included
/// (`KSYM_NAME_LEN` is 128 up to 6.0 and 512 since; longer names are cut).
pub const NAME_LEN: usize = 128;

/// `flags`: the function only reverts what a replaced patch changed.
pub const FUNCTION_NOP: u32 = 1;
/// `flags`: calls are redirected (`klp_func.patched`).
pub const FUNCTION_PATCHED: u32 = 2;

/// Steps of the walk at each program that the kernel shows. The verifier follows
/// each step.
pub const STEPS: u32 = 8;

/// One function of a patch, as the kernel stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct FunctionRecord {
    /// `klp_func.old_func`: the address of the original; 0 while its object is not
    /// loaded.
    pub old_address: u64,
    /// `klp_func.new_func`: the address of the new function; 0 if there is none.
    pub new_address: u64,
    /// `klp_func.old_sympos`: 0 for "the only one".
    pub sympos: u64,
    /// `FUNCTION_*`.
    pub flags: u32,
    pub padding: u32,
    /// `klp_patch.mod->name`, up to its NUL, as are the names below.
    pub patch: [u8; PATCH_NAME_LEN],
    /// `klp_object.name`; empty for [`VMLINUX`].
    pub object: [u8; PATCH_NAME_LEN],
    /// `klp_func.old_name`.
    pub name: [u8; NAME_LEN],
}

const _: () = assert!(size_of::<FunctionRecord>() == 272);
