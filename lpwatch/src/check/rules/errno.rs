//! The error numbers with which the kernel refuses a module. They are the same on
//! every processor that supports live patching.

pub(in crate::check) const EPERM: u32 = 1;
pub(in crate::check) const ENOEXEC: u32 = 8;
pub(in crate::check) const EBUSY: u32 = 16;
pub(in crate::check) const EEXIST: u32 = 17;
pub(in crate::check) const EINVAL: u32 = 22;
pub(in crate::check) const EKEYREJECTED: u32 = 129;
