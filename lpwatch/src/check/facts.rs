//! The facts that the rules use. They are read once, as plain values. A fact that
//! could not be read is `None`, and a note gives the reason.

pub mod disk;
mod gather;
pub mod hooks;
pub mod kernel;
pub mod objects;
mod patch_files;
pub mod rates;
pub mod real_time;
pub mod tasks;

pub use gather::{GatherOptions, gather};

use crate::{
    kernel::{
        host::Host,
        patch_file::{Machine, Modinfo, PatchFile, PatchObject, PatchedFunction},
    },
    model::{EngineKind, ObjectView, PatchView},
};

/// All facts about a host that matter for one patch.
#[derive(Clone, Debug, Default)]
pub struct CheckFacts {
    pub host: Host,
    pub kernel: kernel::KernelFacts,
    /// The patches that are loaded; `None` on a kernel without livepatch.
    pub patches: Option<Vec<PatchView>>,
    pub objects: objects::ObjectFacts,
    pub hooks: hooks::HookFacts,
    pub tasks: tasks::TaskFacts,
    pub real_time: real_time::RealTimeFacts,
    /// What could not be inspected, one sentence each.
    pub notes: Vec<String>,
}

/// The patch file in the form in which sysfs shows a loaded patch.
#[must_use]
pub fn as_view(patch: &PatchFile) -> PatchView {
    let objects = patch.objects.iter().map(|object| ObjectView {
        name: object.name.clone(),
        patched: None,
        functions: object
            .functions
            .iter()
            .map(|function| (function.name.clone(), function.sympos.max(1)))
            .collect(),
    });
    PatchView {
        enabled: Some(false),
        replace: patch.replace,
        objects: objects.collect(),
        ..PatchView::new(patch.name.clone(), EngineKind::Livepatch)
    }
}

/// A loaded patch in the form of a patch file, as far as sysfs shows it.
#[must_use]
pub fn as_file(patch: &PatchView) -> PatchFile {
    let objects = patch.objects.iter().map(|object| PatchObject {
        name: object.name.clone(),
        functions: object
            .functions
            .iter()
            .map(|(name, sympos)| PatchedFunction {
                name: name.clone(),
                sympos: *sympos,
                new_function: None,
            })
            .collect(),
        callbacks: Vec::new(),
    });
    PatchFile {
        name: patch.name.clone(),
        modinfo: Modinfo {
            livepatch: true,
            ..Modinfo::default()
        },
        // The kernel has accepted it, so no rule checks this.
        machine: Machine::of_this_host().unwrap_or(Machine::X86_64),
        build_id: None,
        signed: false,
        made_by: None,
        replace: patch.replace,
        objects: objects.collect(),
        uses: Vec::new(),
        states: Vec::new(),
        shadow_variables: false,
        unread: Vec::new(),
    }
}
