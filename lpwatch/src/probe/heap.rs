//! The memory that the C library's allocator keeps.
//!
//! A transition of many tasks begins with all of them left, which takes tens of
//! megabytes for a second. Left to itself, glibc keeps most of that for good.

#![expect(unsafe_code, reason = "functions of the C library")]

/// Tells the allocator to give large blocks back as soon as they are free.
///
/// glibc begins with these limits, and raises them to tens of megabytes when a large
/// block is freed, unless they are set (mallopt(3)).
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    for (parameter, bytes) in [
        (libc::M_MMAP_THRESHOLD, 128 * 1024),
        (libc::M_TRIM_THRESHOLD, 128 * 1024),
    ] {
        // SAFETY: it changes no memory that is in use.
        if unsafe { libc::mallopt(parameter, bytes) } == 0 {
            tracing::debug!(parameter, bytes, "the allocator keeps its limit");
        }
    }
}

/// Gives all free memory back to the kernel, between blocks in use as well.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
