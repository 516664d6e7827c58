//! The patching systems: each engine reads one, in its own terms, and gives it
//! in those of the model.

mod kernelcare;
mod kgraft;
mod knowledge;
mod kpatch;
mod ksplice;
mod livepatch;
mod objects;
mod openeuler;
mod task;
#[cfg(test)]
mod tests;
mod view;

use crate::{
    kernel::{ReadError, Roots, files::sentence},
    model::{EngineKind, PatchView},
};

pub use knowledge::{Consistency, Knowledge, Known};
pub(crate) use task::frame;
pub use view::{
    EngineView, FunctionAddress, Left, LeftTask, LoadedPatch, OBJECT_NOT_TOLD, Refusal,
};

/// One patching system.
pub trait Engine: Sync {
    fn kind(&self) -> EngineKind;

    /// What can be known of its patches, and what cannot.
    fn knows(&self) -> Knowledge;

    /// All it shows; `None` where this kernel does not have it.
    ///
    /// # Errors
    /// [`ReadError`] if the system is there but cannot be read.
    fn read(&self, roots: &Roots) -> Result<Option<EngineView>, ReadError>;

    /// The tasks that hold its transition up, where the system itself tells
    /// them: `None` where it does not, or is not there.
    ///
    /// # Errors
    /// They are told, but cannot be read.
    fn tasks_left(&self, roots: &Roots) -> Result<Option<Left>, ReadError> {
        let _ = roots;
        Ok(None)
    }
}

/// Every system lpwatch understands. openEuler's patches lie in livepatch's
/// sysfs as well, so it comes after livepatch.
const ENGINES: [&dyn Engine; 6] = [
    &livepatch::Livepatch,
    &kpatch::Kpatch,
    &kgraft::Kgraft,
    &ksplice::Ksplice,
    &kernelcare::KernelCare,
    &openeuler::OpenEuler,
];

/// The engine of this kind.
#[must_use]
pub fn of(kind: EngineKind) -> &'static dyn Engine {
    match kind {
        EngineKind::Livepatch => &livepatch::Livepatch,
        EngineKind::Kpatch => &kpatch::Kpatch,
        EngineKind::Kgraft => &kgraft::Kgraft,
        EngineKind::Ksplice => &ksplice::Ksplice,
        EngineKind::Kernelcare => &kernelcare::KernelCare,
        EngineKind::Openeuler => &openeuler::OpenEuler,
    }
}

/// All systems there are.
pub fn all() -> impl Iterator<Item = &'static dyn Engine> {
    ENGINES.into_iter()
}

/// What all systems show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Systems {
    /// Those that this kernel has.
    pub present: Vec<EngineView>,
    /// Systems that are there and cannot be read, a sentence each.
    pub notes: Vec<String>,
    /// Those systems.
    pub unread: Vec<EngineKind>,
}

impl Systems {
    /// The patches of all systems.
    pub fn patches(&self) -> impl Iterator<Item = &LoadedPatch> {
        self.present.iter().flat_map(|system| &system.patches)
    }

    /// What could not be read, a sentence each.
    #[must_use]
    pub fn all_notes(&self) -> Vec<String> {
        let of_systems = self.present.iter().flat_map(|system| &system.notes);
        self.notes.iter().chain(of_systems).cloned().collect()
    }
}

/// Reads all systems; one that cannot be read does not hide the others.
///
/// # Errors
/// The first [`ReadError`], if nothing at all could be read.
pub fn read_systems(roots: &Roots) -> Result<Systems, ReadError> {
    let mut systems = Systems::default();
    let mut failed: Option<ReadError> = None;
    for engine in ENGINES {
        match engine.read(roots) {
            Ok(Some(view)) => systems.present.push(view),
            Ok(None) => {}
            Err(error) => {
                systems.notes.push(sentence(&error));
                systems.unread.push(engine.kind());
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        Some(error) if systems.present.is_empty() => Err(error),
        _ => {
            once(&mut systems.present);
            Ok(systems)
        }
    }
}

/// What openEuler claims for itself livepatch does not have besides.
fn once(present: &mut [EngineView]) {
    let claimed: Vec<String> = present
        .iter()
        .filter(|system| system.kind == EngineKind::Openeuler)
        .flat_map(|system| &system.patches)
        .map(|patch| patch.view.name.clone())
        .collect();
    for system in present {
        if system.kind == EngineKind::Livepatch {
            let own = |patch: &LoadedPatch| !claimed.contains(&patch.view.name);
            system.patches.retain(own);
        }
    }
}

/// The patches of all systems; `None` where this kernel has none of them.
///
/// # Errors
/// As [`read_systems`].
pub fn read_all(roots: &Roots) -> Result<Option<Vec<PatchView>>, ReadError> {
    let systems = read_systems(roots)?;
    if systems.present.is_empty() {
        return Ok(None);
    }
    let patches = systems.patches().map(LoadedPatch::for_model);
    Ok(Some(patches.collect()))
}
