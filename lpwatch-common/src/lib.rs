//! Types that cross the boundary between the BPF programs and user space.
//!
//! Every type is `#[repr(C)]`, with explicit padding and an asserted size, so that
//! both compilers use the same layout. With the feature `user` each type can be
//! decoded from bytes without `unsafe`.
#![no_std]

pub mod calls;
pub mod patch;
pub mod program;
pub mod stops;
pub mod task;
pub mod transition;
pub mod verdict;

/// `MODULE_NAME_LEN` is `64 - sizeof(unsigned long)` (include/linux/module.h).
pub const PATCH_NAME_LEN: usize = 56;

/// `TASK_COMM_LEN` (include/linux/sched.h).
pub const COMM_LEN: usize = 16;

/// Reads fixed-size fields off the front of a byte slice, in native order.
#[cfg(feature = "user")]
pub(crate) struct Fields<'a>(pub &'a [u8]);

#[cfg(feature = "user")]
impl Fields<'_> {
    /// Takes the next `N` bytes; `None` when the slice is too short.
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_ne_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.bytes().map(i32::from_ne_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_ne_bytes)
    }
}
