//! The compiled BPF programs, embedded by the build script.

use aya::{Ebpf, programs::ProgramError};

use super::ProbeError;

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

/// A program of the loaded object, by its name.
pub(super) fn program<'a, T>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, ProbeError>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let missing = || ProbeError::Failed {
        action: "find a BPF program",
        reason: format!("the object has no `{name}`"),
    };
    let program = bpf.program_mut(name).ok_or_else(missing)?;
    program
        .try_into()
        .map_err(|error| ProbeError::new("find a BPF program", &error))
}
