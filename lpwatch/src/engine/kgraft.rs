//! kGraft (SUSE, SLE 12): each task changes code on its own when it next enters
//! or leaves the kernel, kernel threads at places marked as safe; stacks are not
//! looked at. One patch at a time, and it can be turned round only when it is
//! through.
//!
//! So progress and the tasks left are known, as with livepatch; the kernel gives
//! no reasons, but a task's stack shows where it stays. From SLE 12 SP1 on the
//! kernel signals the tasks left at each try; before, `kgr poke` (STOP, then
//! CONT) does that. A task in a patched function is no obstacle, one that does
//! not return to user space is.

use crate::{
    kernel::{
        ReadError, Roots,
        kgraft::{self, FunctionState, Graft, GraftPatch},
        kgraft_tasks,
    },
    model::{Direction, EngineKind, PatchDetails, PatchView, SystemView},
};

use super::{
    Consistency, Engine, Knowledge, Known, Left, OBJECT_NOT_TOLD, objects::objects, task::inspected,
};

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
            reasons: Known::Partly("the kernel gives none; a task's stack shows where it stays"),
            calls: Known::No("its kernels (3.12, 4.4) are older than lpwatch's counters"),
            check: Known::No("the checks are about livepatch's rules"),
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
                "kGraft says that a patch is in progress; which one, its functions do not show."
                    .to_owned(),
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
                    .push(format!("Whether {} is enabled is not known.", patch.name));
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
                "This kernel tells which processes kGraft has left, not which of their threads."
                    .to_owned(),
            );
        }
        if found.listing.unreadable > 0 {
            left.notes.push(format!(
                "Of {} tasks it cannot be read whether they are left: run as root.",
                found.listing.unreadable
            ));
        }
        let tasks = found.listing.remaining.into_iter();
        left.tasks = tasks.map(|task| inspected(roots, task)).collect();
        Ok(Some(left))
    }
}

/// The patch in transition, and which way: where a patch that replaces all is
/// applied, others are reverted with it, and it is the one.
fn moving(graft: &Graft) -> Option<(&GraftPatch, Direction)> {
    use FunctionState::{AppliedNotFinal, RevertSlow, Slow};
    // Kernels without the file (2014) are told by the functions alone.
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
            object.unwrap_or_else(|| OBJECT_NOT_TOLD.to_owned()),
            function.name,
            // 0 is "the only one of that name", which sysfs elsewhere shows as 1.
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
