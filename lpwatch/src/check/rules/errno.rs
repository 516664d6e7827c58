//! The answers with which the kernel refuses a module (the same on every
//! processor that has live patching).

pub(super) const EPERM: u32 = 1;
pub(super) const ENOEXEC: u32 = 8;
pub(super) const EBUSY: u32 = 16;
pub(super) const EEXIST: u32 = 17;
pub(super) const EINVAL: u32 = 22;
pub(super) const EKEYREJECTED: u32 = 129;
