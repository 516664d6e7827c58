//! Mainline livepatch (since 4.0): each task switches when its stack contains no
//! function to be patched. So progress and blockers are known.
//!
//! Before 4.12 there was no consistency model: a patch was applied at once.
//!
//! The modules of current kpatch and the live patches of Canonical, Red Hat, Amazon
//! and SUSE are such patches. The observer reads the remaining tasks repeatedly, so
//! that is not done here ([`crate::kernel::tasks`] or BPF).

use crate::{
    kernel::{
        ReadError, Roots,
        kallsyms::VMLINUX,
        livepatch::{PatchFiles, read_patches},
        modules,
    },
    model::{EngineKind, ObjectView, PatchView, SystemView},
};

use super::{Consistency, Engine, Knowledge, Known};

pub(super) struct Livepatch;

impl Engine for Livepatch {
    fn kind(&self) -> EngineKind {
        EngineKind::Livepatch
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::PerTaskByStack,
            progress: Known::Yes,
            blockers: Known::Yes,
            reasons: Known::Yes,
            calls: Known::Yes,
            check: Known::Yes,
            wait: Known::Yes,
            stop_time: Known::Partly(
                "it is not recorded in files: only a daemon that hooks stop_machine measures it",
            ),
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(patches) = read_patches(roots)? else {
            return Ok(false);
        };
        let patches = patches.into_iter();
        view.patches
            .extend(patches.filter_map(|patch| patch_view(patch, roots)));
        Ok(true)
    }
}

/// `None` for a patch that disappears while it is read.
fn patch_view(files: PatchFiles, roots: &Roots) -> Option<PatchView> {
    let objects = files.objects.into_iter().map(|object| ObjectView {
        // Before 6.1 the kernel does not show it, but an object that is not
        // loaded is not patched.
        patched: object
            .patched
            .or_else(|| is_absent(&object.name, roots).then_some(false)),
        name: object.name,
        functions: object.functions,
    });
    Some(PatchView {
        enabled: Some(files.enabled?),
        // Before 4.12 a patch was applied at once: there was no transition.
        in_transition: files.transition.unwrap_or(false),
        replace: files.replace,
        stack_order: files.stack_order,
        objects: objects.collect(),
        ..PatchView::new(files.name, EngineKind::Livepatch)
    })
}

pub(super) fn is_absent(object: &str, roots: &Roots) -> bool {
    object != VMLINUX && modules::is_loaded(roots, object) == Some(false)
}
