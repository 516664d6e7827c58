//! openEuler's own live patching (kernels 4.19 and 5.10): it stops the whole
//! machine, checks every task's stack, and switches all tasks at once.
//!
//! Its patches are in livepatch's sysfs, too, without a `transition`; the table in
//! procfs shows their order. An openEuler kernel that was built with livepatch's
//! own consistency model has that file, and its patches belong to livepatch. A
//! refusal is reported to the caller that enables the patch (EBUSY) and in the
//! kernel log.

use std::collections::HashMap;

use crate::{
    kernel::{
        ReadError, Roots,
        livepatch::{PatchFiles, read_patches},
        openeuler::{self, StateRow},
    },
    model::{EngineKind, PatchView},
};

use super::{
    Consistency, Engine, EngineView, Knowledge, Known, LoadedPatch, livepatch::patch_view,
};

pub(super) struct OpenEuler;

impl Engine for OpenEuler {
    fn kind(&self) -> EngineKind {
        EngineKind::Openeuler
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::MachineStopped,
            progress: Known::No("all tasks switch at once, while the machine is stopped"),
            blockers: Known::No("a refusal names no task"),
            reasons: Known::No("a refusal names no task"),
            calls: Known::No(
                "old code is overwritten, not redirected, so a hook on it may be lost",
            ),
            check: Known::No("the checks apply only to livepatch"),
            wait: Known::Partly("there is nothing to wait for after the patch is enabled"),
            stop_time: Known::Partly("by the daemon, where stop_machine can be hooked"),
        }
    }

    fn read(&self, roots: &Roots) -> Result<Option<EngineView>, ReadError> {
        let Some(table) = openeuler::read(roots)? else {
            return Ok(None);
        };
        let mut view = EngineView::new(self.kind());
        view.notes = table.notes;
        let files = read_patches(roots).ok().flatten().unwrap_or_default();
        let mut files: HashMap<String, PatchFiles> = files
            .into_iter()
            .map(|patch| (patch.name.clone(), patch))
            .collect();
        for row in table.patches {
            match files.remove(&row.name) {
                Some(files) if files.transition.is_some() => {}
                files => view.patches.push(loaded(row, files, roots)),
            }
        }
        Ok(Some(view))
    }
}

fn loaded(row: StateRow, files: Option<PatchFiles>, roots: &Roots) -> LoadedPatch {
    let StateRow {
        index,
        name,
        enabled,
    } = row;
    let in_sysfs = files.and_then(|files| patch_view(EngineKind::Openeuler, files, roots));
    let objects = in_sysfs.map(|patch| patch.objects).unwrap_or_default();
    let view = PatchView {
        name,
        engine: EngineKind::Openeuler,
        enabled,
        in_transition: false,
        told_direction: None,
        failure: None,
        replace: None,
        stack_order: index,
        objects,
    };
    LoadedPatch::of(view)
}
