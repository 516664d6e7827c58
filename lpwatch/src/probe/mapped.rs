//! A BPF array that user space has in its own memory.
//!
//! Reading it takes no system call. `bpf(2)` keeps kprobes on its CPU from
//! being told of calls as long as it copies from a map (`bpf_disable_instrumentation`,
//! include/linux/bpf.h), and it may be preempted then: others' calls would be lost.

#![expect(unsafe_code, reason = "memory that the kernel writes to is shared")]

use std::{
    io,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::MapData;
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// Words of 64 bits, as an array made with `BPF_F_MMAPABLE` (5.5 on) has them.
#[derive(Debug)]
pub(super) struct MappedWords {
    start: NonNull<AtomicU64>,
    words: usize,
    bytes: usize,
    #[expect(dead_code, reason = "programs are loaded by its file's number")]
    map: MapData,
}

// SAFETY: the memory is this value's own until it is dropped, and all that is
// done with it is done by atomics.
unsafe impl Send for MappedWords {}
// SAFETY: as above.
unsafe impl Sync for MappedWords {}

impl MappedWords {
    /// Maps an array of so many words.
    ///
    /// # Errors
    /// The kernel's: the map is smaller, or was not made to be mapped.
    pub fn of(map: MapData, words: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
        let bytes = words
            .checked_mul(size_of::<AtomicU64>())
            .and_then(|bytes| bytes.checked_next_multiple_of(page_size()))
            .ok_or_else(too_large)?;
        // SAFETY: the kernel chooses an address where nothing is.
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

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped with at least so many words, aligned to a page, until
        // `self` is dropped; whoever else writes there writes whole words.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// The words from there on, `COUNT` of them; `None` beyond the end.
    pub fn read<const COUNT: usize>(&self, from: usize) -> Option<[u64; COUNT]> {
        let words = self.words().get(from..)?.first_chunk::<COUNT>()?;
        Some(std::array::from_fn(|index| {
            words
                .get(index)
                .map_or(0, |word| word.load(Ordering::Relaxed))
        }))
    }

    /// Puts the same into as many words from there on, as far as there are any.
    pub fn fill(&self, from: usize, count: usize, value: u64) {
        for word in self.words().iter().skip(from).take(count) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl Drop for MappedWords {
    fn drop(&mut self) {
        // SAFETY: mapped with these bytes, and nothing borrows from it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        if let Err(error) = unmapped {
            tracing::debug!(%error, "counters stay mapped");
        }
    }
}
