//! The first reading of what the patching systems of this host show.

use crate::{
    engine,
    error::Error,
    kernel::{
        Roots,
        host::{Host, livepatch_config},
    },
    model::SystemView,
};

/// All patches as they are now, if the host has a patching system.
///
/// # Errors
/// [`Error::NoLivepatch`] without one; or nothing can be read.
pub(super) fn first_reading(roots: &Roots) -> Result<SystemView, Error> {
    let view = engine::read_all(roots)?;
    if !view.present.is_empty() {
        return Ok(view);
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
