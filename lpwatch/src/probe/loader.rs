//! aya's loader, made without a second reading of the kernel's types.
//!
//! `EbpfLoader::new` of aya 0.14 reads and parses all types of the kernel (4 to 6 MB),
//! and `.btf` then replaces them with those that lpwatch has. That costs as much as
//! all other work of a start. From 0.15 on, which needs Rust 1.98, aya reads them only
//! if nobody gives others; then this file can go.

use std::{collections::BTreeMap, thread};

use aya::EbpfLoader;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// A loader without types.
///
/// It is made on a thread of its own that may not open files (seccomp(2)): aya then
/// goes on without types. Where the filter is refused, aya reads them.
pub(super) fn new<'a>() -> EbpfLoader<'a> {
    let made = thread::spawn(|| {
        match no_files().map(|filter| seccompiler::apply_filter(&filter)) {
            Some(Ok(())) => {}
            refused => tracing::debug!(?refused, "aya reads the kernel's types, too"),
        }
        EbpfLoader::new()
    });
    made.join().unwrap_or_else(|_| EbpfLoader::new())
}

/// A filter in which no file can be opened; `None` for a processor that the library
/// does not know.
fn no_files() -> Option<BpfProgram> {
    let mut calls = BTreeMap::from([(libc::SYS_openat, Vec::new())]);
    #[cfg(target_arch = "x86_64")]
    calls.insert(libc::SYS_open, Vec::new());
    let processor = std::env::consts::ARCH.try_into().ok()?;
    let refused = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    SeccompFilter::new(calls, SeccompAction::Allow, refused, processor)
        .and_then(TryInto::try_into)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_has_no_types_and_other_threads_open_files() {
        let loader = format!("{:?}", new());
        assert!(loader.contains("btf: None"), "{loader:.200}");
        assert!(std::fs::read("/proc/self/stat").is_ok());
    }
}
