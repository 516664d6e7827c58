//! openEuler's own live patching (kernels 4.19 and 5.10): the whole machine is
//! stopped, every task's stack is checked, and all tasks change code at once.
//!
//! Its patches lie in livepatch's sysfs, too, without a `transition`; the table
//! in procfs says in which order they are. A kernel of openEuler that was built
//! with livepatch's own consistency has that file, and its patches are
//! livepatch's. A refusal is told to who enables the patch (EBUSY), and by the
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
            progress: Known::No("all tasks change code at once, while the machine is stopped"),
            blockers: Known::No("a refusal names no task"),
            reasons: Known::No("a refusal names no task"),
            calls: Known::No("old code is overwritten, not redirected: a hook on it may be lost"),
            check: Known::No("the checks are about livepatch's rules"),
            wait: Known::Partly("there is nothing to wait for once the patch is enabled"),
            stop_time: Known::Partly("by the daemon, where stop_machine can be hooked"),
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
