//! Reading what all patching systems of this host show.

use crate::{
    engine::{self, LoadedPatch},
    error::Error,
    kernel::{
        Roots,
        host::{Clocks, Host, livepatch_config},
    },
    model::SystemView,
};

/// Whether a live patch is in transition, as far as can be read.
pub(super) fn is_in_transition(roots: &Roots) -> bool {
    read_patches(roots).is_ok_and(|view| view.in_transition().is_some())
}

/// All patches, as they are now.
///
/// # Errors
/// [`Error`] if nothing can be read.
pub(super) fn read_patches(roots: &Roots) -> Result<SystemView, Error> {
    let read_at = Clocks::now().boot;
    let systems = engine::read_systems(roots)?;
    let patches = systems.patches().map(LoadedPatch::for_model).collect();
    Ok(SystemView {
        read_at,
        patches,
        notes: systems.all_notes(),
        unread: systems.unread,
    })
}

/// That there is a patching system to look at.
///
/// # Errors
/// [`Error::NoLivepatch`] where there is none.
pub(super) fn ensure_livepatch(roots: &Roots) -> Result<(), Error> {
    if engine::read_all(roots)?.is_some() {
        return Ok(());
    }
    let Host { release, .. } = Host::of(roots);
    let directory = roots.sysfs.join("kernel/livepatch");
    if !roots.is_live() {
        let text = format!(
            "{} does not exist, so lpwatch cannot report anything.",
            directory.display()
        );
        return Err(Error::NoLivepatch(text));
    }
    let why = match livepatch_config(roots, &release) {
        Some(false) => "its configuration says CONFIG_LIVEPATCH is not set",
        Some(true) | None => "/sys/kernel/livepatch does not exist",
    };
    Err(Error::NoLivepatch(format!(
        "This kernel ({release}) cannot be live-patched: {why}. lpwatch needs a kernel built \
         with CONFIG_LIVEPATCH=y, and sysfs mounted on /sys."
    )))
}
