//! kGraft (SUSE, SLE 12): each task switches when it next enters or leaves the
//! kernel, and a kernel thread at places marked as safe. The kernel does not inspect
//! stacks. It allows one transition at a time, which can be reversed only after it
//! has ended.
//!
//! Progress and the remaining tasks are known, as with livepatch. The kernel gives
//! no reasons, but a task's stack shows where it is. Since SLE 12 SP1 the kernel
//! signals the remaining tasks at each try; before, `kgr poke` (STOP, then CONT)
//! did that. A task in a patched function is no blocker; a task that does not
//! return to user space is.

use crate::{
    kernel::{
        ReadError, Roots,
        kgraft::{self, FunctionState, Graft, GraftPatch},
        kgraft_tasks,
    },
    model::{Direction, EngineKind, OBJECT_UNKNOWN, PatchDetails, PatchView, SystemView},
};

use super::{Consistency, Engine, Knowledge, Known, Left, objects::objects, task::inspected};

pub(super) struct Kgraft;

impl Engine for Kgraft {
    fn kind(&self) -> EngineKind {
        EngineKind::Kgraft
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::PerTask,
            progress: Known::Yes,
            blockers: Known::Yes,
            reasons: Known::Partly("the kernel gives none; a task's stack shows where it is"),
            calls: Known::No("its kernels (3.12, 4.4) are older than lpwatch's counters"),
            check: Known::No("the checks apply only to livepatch"),
            wait: Known::Yes,
            stop_time: Known::No("the machine is not stopped: tasks switch one by one"),
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(graft) = kgraft::read(roots)? else {
            return Ok(false);
        };
        let moving = moving(&graft);
        if graft.in_progress == Some(true) && moving.is_none() {
            view.notes.push(
                "kGraft reports a patch in progress, but does not show which one.".to_owned(),
            );
        }
        let moving = moving.map(|(patch, direction)| (patch.name.clone(), direction));
        view.notes.extend(graft.notes);
        for patch in graft.patches {
            let direction = moving
                .as_ref()
                .and_then(|(name, direction)| (*name == patch.name).then_some(*direction));
            if patch.functions.is_none() {
                view.notes
                    .push(format!("It is unknown whether {} is enabled.", patch.name));
            }
            view.patches.push(patch_view(patch, direction, roots));
        }
        Ok(true)
    }

    fn tasks_left(&self, roots: &Roots) -> Result<Option<Left>, ReadError> {
        let Some(found) = kgraft_tasks::read(roots)? else {
            return Ok(None);
        };
        let mut left = Left {
            total: Some(found.listing.total),
            ..Left::default()
        };
        if !found.by_thread {
            left.notes.push(
                "This kernel shows the processes that have not switched, but not their threads."
                    .to_owned(),
            );
        }
        if found.listing.unreadable > 0 {
            left.notes.push(format!(
                "The state of {} tasks cannot be read. Run lpwatch as root.",
                found.listing.unreadable
            ));
        }
        let tasks = found.listing.remaining.into_iter();
        left.tasks = tasks.map(|task| inspected(roots, task)).collect();
        Ok(Some(left))
    }
}

/// The patch in transition and its direction. If a patch that replaces the others
/// is being enabled, it is the one, not those that are disabled with it.
fn moving(graft: &Graft) -> Option<(&GraftPatch, Direction)> {
    use FunctionState::{AppliedNotFinal, RevertSlow, Slow};
    // Kernels without the file (2014) show it only by the functions.
    if graft.in_progress == Some(false) {
        return None;
    }
    let with = |states: &[FunctionState]| {
        let mut patches = graft.patches.iter();
        patches.find(|patch| states.iter().any(|&state| patch.has(state)))
    };
    with(&[Slow, AppliedNotFinal])
        .map(|patch| (patch, Direction::Patching))
        .or_else(|| with(&[RevertSlow]).map(|patch| (patch, Direction::Unpatching)))
}

fn patch_view(patch: GraftPatch, direction: Option<Direction>, roots: &Roots) -> PatchView {
    let enabled = patch.enabled();
    let GraftPatch {
        name,
        functions,
        refs,
        replace_all,
        owner,
    } = patch;
    let named = functions.into_iter().flatten().map(|function| {
        let object = function.object;
        (
            object.unwrap_or_else(|| OBJECT_UNKNOWN.to_owned()),
            function.name,
            // 0 means the only function of that name, which livepatch's sysfs shows as 1.
            function.sympos.unwrap_or(0).max(1),
        )
    });
    let word = match (direction, enabled) {
        (Some(Direction::Patching), _) => "being applied",
        (Some(Direction::Unpatching), _) => "being reverted",
        (None, Some(true)) => "applied",
        (None, Some(false)) => "reverted",
        (None, None) => "not known",
    };
    PatchView {
        enabled,
        in_transition: direction.is_some(),
        told_direction: direction,
        replace: replace_all,
        objects: objects(named, enabled, roots),
        details: PatchDetails {
            state: Some(word.to_owned()),
            module: owner,
            refs,
            ..PatchDetails::default()
        },
        ..PatchView::new(name, EngineKind::Kgraft)
    }
}
