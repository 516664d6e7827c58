//! The compiled BPF programs, embedded by the build script.

/// The BPF object; `None` in a build without a BPF toolchain.
#[cfg(lpwatch_bpf)]
pub(super) fn bytes() -> Option<&'static [u8]> {
    Some(aya::include_bytes_aligned!(concat!(
        env!("OUT_DIR"),
        "/lpwatch.bpf.o"
    )))
}

/// The BPF object; `None` in a build without a BPF toolchain.
#[cfg(not(lpwatch_bpf))]
pub(super) fn bytes() -> Option<&'static [u8]> {
    None
}
