//! The compiled BPF programs, embedded by the build script.

/// The BPF object; `None` in a build without a BPF toolchain.
#[cfg(lpwatch_bpf)]
const OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(
    env!("OUT_DIR"),
    "/lpwatch.bpf.o"
)));

#[cfg(not(lpwatch_bpf))]
const OBJECT: Option<&[u8]> = None;

/// The BPF object; `None` in a build without a BPF toolchain.
pub(super) fn bytes() -> Option<&'static [u8]> {
    OBJECT
}
