//! Mainline livepatch (4.0 on): each task switches on its own, when its stack
//! holds no function to be patched. So progress and blockers are known.

use crate::{
    kernel::{
        ReadError, Roots,
        livepatch::{ObjectFiles, PatchFiles, read_patches},
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
        let patches = read_patches(roots)?;
        Ok(patches.map(|patches| {
            patches
                .into_iter()
                .filter_map(|patch| view(self.kind(), patch))
                .collect()
        }))
    }
}

/// `None` for a patch that is going while it is read: its files are gone.
fn view(engine: EngineKind, files: PatchFiles) -> Option<PatchView> {
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
        replace,
        stack_order,
        objects: objects.into_iter().map(object).collect(),
    })
}

fn object(files: ObjectFiles) -> ObjectView {
    let ObjectFiles {
        name,
        patched,
        functions,
    } = files;
    let functions = functions
        .into_iter()
        .map(|function| (function.name, function.sympos));
    ObjectView {
        name,
        patched,
        functions: functions.collect(),
    }
}
