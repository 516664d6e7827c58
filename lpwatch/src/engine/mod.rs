//! The patching systems: each engine reads one, in its own terms, and gives it
//! in those of the model.

mod livepatch;

use crate::{
    kernel::{ReadError, Roots},
    model::{EngineKind, PatchView},
};

/// One patching system.
pub trait Engine: Sync {
    fn kind(&self) -> EngineKind;

    /// All patches of this system; `None` where this kernel does not have it.
    ///
    /// # Errors
    /// [`ReadError`] if the system is there but cannot be read.
    fn patches(&self, roots: &Roots) -> Result<Option<Vec<PatchView>>, ReadError>;
}

/// Every system lpwatch understands.
const ENGINES: [&dyn Engine; 1] = [&livepatch::Livepatch];

/// The patches of all systems; `None` where this kernel has none of them.
///
/// # Errors
/// The first [`ReadError`] of a system that is there but cannot be read.
pub fn read_all(roots: &Roots) -> Result<Option<Vec<PatchView>>, ReadError> {
    let mut all: Option<Vec<PatchView>> = None;
    for engine in ENGINES {
        if let Some(patches) = engine.patches(roots)? {
            all.get_or_insert_default().extend(patches);
        }
    }
    Ok(all)
}
