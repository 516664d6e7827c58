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
    model::{Direction, EngineKind, PatchView, TaskOnOldCode, evidence::Evidence},
};

use super::{
    Consistency, Engine, EngineView, Knowledge, Known, Left, LeftTask, LoadedPatch, Refusal,
    task::evidence,
};

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

    fn read(&self, roots: &Roots) -> Result<Option<EngineView>, ReadError> {
        let Some(found) = ksplice::read(roots)? else {
            return Ok(None);
        };
        let mut view = EngineView::new(self.kind());
        view.notes = found.notes;
        view.patches = found.updates.into_iter().map(loaded).collect();
        Ok(Some(view))
    }

    fn tasks_left(&self, roots: &Roots) -> Result<Option<Left>, ReadError> {
        let Some(found) = ksplice::read(roots)? else {
            return Ok(None);
        };
        let mut left = Left::default();
        // A task in the way of two updates is one.
        let mut tasks: BTreeMap<u32, LeftTask> = BTreeMap::new();
        for update in &found.updates {
            for conflict in holding(update) {
                match task(conflict, roots) {
                    Some(task) => {
                        let known = tasks.entry(conflict.pid).or_insert(task);
                        for symbol in &conflict.symbols {
                            if !known.functions.contains(symbol) {
                                known.functions.push(symbol.clone());
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
fn task(conflict: &Conflict, roots: &Roots) -> Option<LeftTask> {
    let who = task_detail::identity(roots, conflict.pid)?;
    if who.comm != conflict.comm {
        return None;
    }
    Some(LeftTask {
        task: TaskOnOldCode {
            tid: conflict.pid,
            tgid: who.tgid,
            comm: who.comm,
            kthread: who.kthread,
            evidence: Evidence {
                state: who.state,
                ..evidence(roots, who.tgid, conflict.pid)
            },
        },
        functions: Vec::new(),
    })
}

fn loaded(update: Update) -> LoadedPatch {
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
    let view = PatchView {
        name: id,
        engine: EngineKind::Ksplice,
        enabled,
        in_transition: direction.is_some(),
        told_direction: None,
        failure: None,
        replace: None,
        stack_order: None,
        objects: Vec::new(),
    };
    LoadedPatch {
        direction,
        state: stage.map(|stage| stage.to_string()),
        refusal: abort_cause.map(|cause| Refusal {
            cause: cause.to_string(),
            meaning: cause.meaning(),
        }),
        description,
        ..LoadedPatch::of(view)
    }
}
