//! openEuler's own live patching (kernels 4.19 and 5.10): it stops the whole
//! machine, checks every task's stack, and switches all tasks at once.
//!
//! Its patches are in livepatch's sysfs, too, without a `transition`; the table in
//! procfs shows their order. An openEuler kernel that was built with livepatch's
//! own consistency model has that file, and its patches belong to livepatch. A
//! refusal is reported to the caller that enables the patch (EBUSY) and in the
//! kernel log.

use crate::{
    kernel::{
        ReadError, Roots,
        livepatch::has_transition,
        openeuler::{self, StateRow},
    },
    model::{EngineKind, PatchView, SystemView},
};

use super::{Consistency, Engine, Knowledge, Known};

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
            stop_time: Known::Partly(
                "it is not recorded in files: only a daemon that hooks stop_machine measures it",
            ),
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(table) = openeuler::read(roots)? else {
            return Ok(false);
        };
        view.notes.extend(table.notes);
        for row in table.patches {
            if !has_transition(roots, &row.name) {
                let patch = patch(row, &mut view.patches);
                view.patches.push(patch);
            }
        }
        Ok(true)
    }
}

/// Takes the patch from those that livepatch has read, with its objects.
fn patch(row: StateRow, read: &mut Vec<PatchView>) -> PatchView {
    let known = read
        .iter()
        .position(|patch| patch.is_livepatch() && patch.name == row.name);
    let known = known.map(|index| read.remove(index));
    PatchView {
        enabled: row.enabled,
        stack_order: row.index,
        objects: known.map(|patch| patch.objects).unwrap_or_default(),
        ..PatchView::new(row.name, EngineKind::Openeuler)
    }
}
