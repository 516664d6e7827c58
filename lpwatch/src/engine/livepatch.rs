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
        livepatch::{ObjectFiles, PatchFiles, read_patches},
        modules,
    },
    model::{EngineKind, ObjectView, PatchView},
};

use super::{Consistency, Engine, EngineView, Knowledge, Known, LoadedPatch};

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
            stop_time: Known::Partly("by the daemon, where stop_machine can be hooked"),
        }
    }

    fn read(&self, roots: &Roots) -> Result<Option<EngineView>, ReadError> {
        let Some(patches) = read_patches(roots)? else {
            return Ok(None);
        };
        let mut view = EngineView::new(self.kind());
        view.patches = patches
            .into_iter()
            .filter_map(|patch| patch_view(self.kind(), patch, roots))
            .map(LoadedPatch::of)
            .collect();
        Ok(Some(view))
    }
}

/// `None` for a patch that disappears while it is read.
pub(super) fn patch_view(
    engine: EngineKind,
    files: PatchFiles,
    roots: &Roots,
) -> Option<PatchView> {
    let PatchFiles {
        name,
        enabled,
        transition,
        replace,
        stack_order,
        objects,
    } = files;
    Some(PatchView {
        name,
        engine,
        enabled: Some(enabled?),
        // Before 4.12 a patch was applied at once: there was no transition.
        in_transition: transition.unwrap_or(false),
        told_direction: None,
        failure: None,
        replace,
        stack_order,
        objects: objects
            .into_iter()
            .map(|files| object(files, roots))
            .collect(),
    })
}

fn object(files: ObjectFiles, roots: &Roots) -> ObjectView {
    let ObjectFiles {
        name,
        patched,
        functions,
    } = files;
    let functions = functions
        .into_iter()
        .map(|function| (function.name, function.sympos));
    ObjectView {
        // Before 6.1 the kernel does not show it, but an object that is not
        // loaded is not patched.
        patched: patched.or_else(|| is_absent(&name, roots).then_some(false)),
        name,
        functions: functions.collect(),
    }
}

pub(super) fn is_absent(object: &str, roots: &Roots) -> bool {
    object != "vmlinux" && modules::is_loaded(roots, object) == Some(false)
}
