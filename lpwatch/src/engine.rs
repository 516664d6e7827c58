//! The patching systems: each engine reads one system in its own terms and
//! converts it to those of the model.

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

    /// Which facts about its patches are available.
    fn knows(&self) -> Knowledge;

    /// All that the system shows; `None` if this kernel does not have it.
    ///
    /// # Errors
    /// [`ReadError`] if the system exists but cannot be read.
    fn read(&self, roots: &Roots) -> Result<Option<EngineView>, ReadError>;

    /// The tasks that block its transition, if the system lists them. `None` if
    /// it does not, or if it does not exist.
    ///
    /// # Errors
    /// The list exists but cannot be read.
    fn tasks_left(&self, roots: &Roots) -> Result<Option<Left>, ReadError> {
        let _ = roots;
        Ok(None)
    }
}

/// Every system that lpwatch supports. openEuler follows livepatch, because its
/// patches are in livepatch's sysfs, too.
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
    /// Systems that exist but cannot be read, one sentence each.
    pub notes: Vec<String>,
    /// Those systems.
    pub unread: Vec<EngineKind>,
}

impl Systems {
    /// The patches of all systems.
    pub fn patches(&self) -> impl Iterator<Item = &LoadedPatch> {
        self.present.iter().flat_map(|system| &system.patches)
    }

    /// What could not be read, one sentence each.
    #[must_use]
    pub fn all_notes(&self) -> Vec<String> {
        let of_systems = self.present.iter().flat_map(|system| &system.notes);
        self.notes.iter().chain(of_systems).cloned().collect()
    }
}

/// Reads all systems. An unreadable system does not hide the others.
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

/// Removes from livepatch the patches that belong to openEuler.
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

/// The patches of all systems; `None` if this kernel has none of the systems.
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
