//! Ksplice (2009; now Oracle): the whole machine is stopped, every task's stack
//! is checked, and all tasks change code at once. Where a task is in the way it
//! tries again, five times in all, and then gives up.
//!
//! So there is a short time in which an update is being tried, and the tasks that
//! were in the way at the last try are listed with the functions on their stacks.
//! Which functions it changes is not shown otherwise.

use std::collections::BTreeMap;

use crate::{
    kernel::{
        ReadError, Roots,
        ksplice::{self, Conflict, Update, UpdateStage},
        task_detail,
    },
    model::{
        Direction, EngineKind, PatchDetails, PatchView, SystemView, Task, inventory::PatchRefusal,
    },
};

use super::{Consistency, Engine, Knowledge, Known, Left, task::inspected};

pub(super) struct Ksplice;

impl Engine for Ksplice {
    fn kind(&self) -> EngineKind {
        EngineKind::Ksplice
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::MachineStopped,
            progress: Known::No("all tasks change code at once, while the machine is stopped"),
            blockers: Known::Yes,
            reasons: Known::Partly("only the functions on their stacks, at the last try"),
            calls: Known::No("Ksplice does not show which functions an update changes"),
            check: Known::No("updates have a form of their own"),
            wait: Known::Yes,
            stop_time: Known::Partly("by the daemon, where stop_machine can be hooked"),
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(found) = ksplice::read(roots)? else {
            return Ok(false);
        };
        view.notes.extend(found.notes);
        view.patches.extend(found.updates.into_iter().map(patch));
        Ok(true)
    }

    fn tasks_left(&self, roots: &Roots) -> Result<Option<Left>, ReadError> {
        let Some(found) = ksplice::read(roots)? else {
            return Ok(None);
        };
        let mut left = Left::default();
        // A task in the way of two updates is one.
        let mut tasks: BTreeMap<u32, Task> = BTreeMap::new();
        for update in &found.updates {
            for conflict in holding(update) {
                match task(conflict, roots) {
                    Some(task) => {
                        let known = tasks.entry(conflict.pid).or_insert(task);
                        let named = &mut known.evidence.named;
                        for symbol in &conflict.symbols {
                            if !named.contains(symbol) {
                                named.push(symbol.clone());
                            }
                        }
                    }
                    None => left.notes.push(format!(
                        "{} (pid {}) was in the way of {} and is there no longer.",
                        conflict.comm, conflict.pid, update.id
                    )),
                }
            }
            if update.conflicts.maybe_cut {
                left.notes.push(format!(
                    "More tasks may be in the way of {}: the kernel lists one page of them.",
                    update.id
                ));
            }
        }
        left.tasks = tasks.into_values().collect();
        Ok(Some(left))
    }
}

/// The tasks in the way of an update that is not where it is to be.
fn holding(update: &Update) -> &[Conflict] {
    let waits = update.stage == Some(UpdateStage::Preparing) || update.abort_cause.is_some();
    if waits { &update.conflicts.tasks } else { &[] }
}

/// `None` for a task that has ended, or whose number is another's by now.
fn task(conflict: &Conflict, roots: &Roots) -> Option<Task> {
    let task = task_detail::task(roots, conflict.pid)?;
    (task.comm == conflict.comm).then(|| inspected(roots, task))
}

fn patch(update: Update) -> PatchView {
    let Update {
        id,
        stage,
        abort_cause,
        conflicts,
        debug: _,
        partial: _,
        description,
    } = update;
    // Aborted while it was applied or while it was reversed: it stays where it
    // was. Until then, whoever is in its way is waited for.
    let tried = abort_cause.is_none() && !conflicts.tasks.is_empty();
    let direction = match stage {
        Some(UpdateStage::Preparing) if tried => Some(Direction::Patching),
        Some(UpdateStage::Applied | UpdateStage::Reversed | UpdateStage::Preparing) | None => None,
    };
    let enabled = stage.map(|stage| match stage {
        UpdateStage::Applied => true,
        UpdateStage::Preparing => direction.is_some(),
        UpdateStage::Reversed => false,
    });
    let refusal = abort_cause.map(|cause| PatchRefusal {
        cause: cause.to_string(),
        meaning: cause.meaning(),
    });
    PatchView {
        enabled,
        in_transition: direction.is_some(),
        told_direction: direction,
        failure: refusal
            .as_ref()
            .map(|refusal| format!("{}: {}", refusal.cause, refusal.meaning)),
        details: PatchDetails {
            state: stage.map(|stage| stage.to_string()),
            refusal,
            description,
            ..PatchDetails::default()
        },
        ..PatchView::new(id, EngineKind::Ksplice)
    }
}
