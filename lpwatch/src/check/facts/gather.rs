//! Reads all facts of a host.

use std::time::Duration;

use crate::{
    engine,
    error::Error,
    kernel::{Roots, host::Host, patch_file::PatchFile},
};

use super::{Facts, hooks::HookFacts, kernel::KernelFacts, objects::ObjectFacts};

/// How to look.
#[derive(Clone, Debug)]
pub struct How {
    pub roots: Roots,
    pub no_bpf: bool,
    /// For how long the tasks are looked at.
    pub sample: Duration,
}

/// Reads what matters for this patch.
///
/// # Errors
/// sysfs cannot be read.
pub fn gather(how: &How, patch: &PatchFile) -> Result<Facts, Error> {
    let How { roots, .. } = how;
    let mut notes = Vec::new();
    let objects = ObjectFacts::gather(roots, patch, &mut notes);
    let hooks = HookFacts::gather(roots, patch, &objects, None, &mut notes);
    Ok(Facts {
        host: Host::of(roots),
        kernel: KernelFacts::gather(roots),
        patches: engine::read_all(roots)?,
        objects,
        hooks,
        notes,
        ..Facts::default()
    })
}
