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

use crate::{
    kernel::{ReadError, Roots, files::sentence, host::Clocks},
    model::{EngineKind, SystemView, Task},
};

pub use knowledge::{Consistency, Knowledge, Known};
pub(crate) use task::{frame, inspect, task};

/// One patching system.
pub trait Engine: Sync {
    fn kind(&self) -> EngineKind;

    /// Which facts about its patches are available.
    fn knows(&self) -> Knowledge;

    /// Adds what this system shows to the readings of the engines before it.
    /// Returns false if this kernel does not have the system.
    ///
    /// # Errors
    /// [`ReadError`] if the system exists but cannot be read; nothing is added
    /// then.
    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError>;

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

/// Every system that lpwatch supports. openEuler follows livepatch, which reads
/// openEuler's patches from its sysfs.
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

/// All systems.
pub fn all() -> impl Iterator<Item = &'static dyn Engine> {
    ENGINES.into_iter()
}

/// Reads all systems, and each of their files once. An unreadable system does not
/// hide the others.
///
/// # Errors
/// The first [`ReadError`], if nothing at all could be read.
pub fn read_all(roots: &Roots) -> Result<SystemView, ReadError> {
    let mut view = SystemView {
        read_at: Clocks::now().boot,
        ..SystemView::default()
    };
    let mut failed: Vec<(EngineKind, ReadError)> = Vec::new();
    for engine in ENGINES {
        match engine.read(roots, &mut view) {
            Ok(true) => view.present.push(engine.kind()),
            Ok(false) => {}
            Err(error) => failed.push((engine.kind(), error)),
        }
    }
    if view.present.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0).1);
    }
    let sentences = failed.iter().map(|(_, error)| sentence(error));
    view.notes.splice(0..0, sentences);
    view.unread = failed.into_iter().map(|(engine, _)| engine).collect();
    Ok(view)
}

/// The tasks that block a transition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// By tid.
    pub tasks: Vec<Task>,
    /// The number of all tasks, if the system shows it.
    pub total: Option<u32>,
    /// What could not be read or is uncertain, one sentence each.
    pub notes: Vec<String>,
}
