//! A BPF array that is mapped into user space.
//!
//! Reading it takes no system call. While `bpf(2)` copies from a map, the
//! kernel runs no kprobe programs on that CPU (`bpf_disable_instrumentation`,
//! include/linux/bpf.h), and the copy may be preempted: calls of others would
//! be lost.

#![expect(unsafe_code, reason = "the memory is shared with the kernel")]

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::MapData;
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// Words of 64 bits in an array made with `BPF_F_MMAPABLE` (5.5 on).
#[derive(Debug)]
pub(super) struct MappedWords {
    start: NonNull<AtomicU64>,
    words: usize,
    bytes: usize,
    /// Held: programs are loaded with the number of its file.
    map: MapData,
}

// SAFETY: the memory belongs to this value until it is dropped, and is accessed
// only with atomics.
unsafe impl Send for MappedWords {}
// SAFETY: as above.
unsafe impl Sync for MappedWords {}

impl MappedWords {
    /// Maps an array of `words` words.
    ///
    /// # Errors
    /// The kernel's error: the map is smaller, or was not created as mappable.
    pub fn of(map: MapData, words: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
        let bytes = words
            .checked_mul(size_of::<AtomicU64>())
            .and_then(|bytes| bytes.checked_next_multiple_of(page_size()))
            .ok_or_else(too_large)?;
        // SAFETY: the kernel chooses an unused address.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.fd(),
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or_else(too_large)?;
        Ok(Self {
            start,
            words,
            bytes,
            map,
        })
    }

    /// The file of the array.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped with at least this many words, aligned to a page,
        // until `self` is dropped; all other writers write whole words.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// `COUNT` words beginning with `from`; `None` beyond the end.
    pub fn read<const COUNT: usize>(&self, from: usize) -> Option<[u64; COUNT]> {
        let words = self.words().get(from..)?.first_chunk::<COUNT>()?;
        Some(std::array::from_fn(|index| {
            words
                .get(index)
                .map_or(0, |word| word.load(Ordering::Relaxed))
        }))
    }

    /// Sets `count` words beginning with `from`, as far as they exist.
    pub fn fill(&self, from: usize, count: usize, value: u64) {
        for word in self.words().iter().skip(from).take(count) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl Drop for MappedWords {
    fn drop(&mut self) {
        // SAFETY: mapped with these bytes, and nothing borrows from it any
        // more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        if let Err(error) = unmapped {
            tracing::debug!(%error, "counters stay mapped");
        }
    }
}
