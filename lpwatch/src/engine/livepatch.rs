//! Mainline livepatch (4.0 on): each task switches on its own, when its stack
//! holds no function to be patched. So progress and blockers are known.

use crate::{
    kernel::{
        ReadError, Roots,
        livepatch::{ObjectFiles, PatchFiles, read_patches},
        modules,
    },
    model::{EngineKind, ObjectView, PatchView},
};

use super::Engine;

pub(super) struct Livepatch;

impl Engine for Livepatch {
    fn kind(&self) -> EngineKind {
        EngineKind::Livepatch
    }

    fn patches(&self, roots: &Roots) -> Result<Option<Vec<PatchView>>, ReadError> {
        let Some(patches) = read_patches(roots)? else {
            return Ok(None);
        };
        let views = patches
            .into_iter()
            .filter_map(|patch| view(self.kind(), patch, roots));
        Ok(Some(views.collect()))
    }
}

/// `None` for a patch that is going while it is read: its files are gone.
fn view(engine: EngineKind, files: PatchFiles, roots: &Roots) -> Option<PatchView> {
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
        enabled: enabled?,
        // Before 4.12 a patch was applied at once: there was no transition.
        in_transition: transition.unwrap_or(false),
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
        // Before 6.1 the kernel does not say; but what is not loaded is not
        // patched.
        patched: patched.or_else(|| is_absent(&name, roots).then_some(false)),
        name,
        functions: functions.collect(),
    }
}

fn is_absent(object: &str, roots: &Roots) -> bool {
    object != "vmlinux" && modules::is_loaded(roots, object) == Some(false)
}
