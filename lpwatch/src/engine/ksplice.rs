//! Ksplice (2009; now Oracle): it stops the whole machine, checks every task's
//! stack, and switches all tasks at once. If a task blocks the update, it tries
//! again, up to five times, and then gives up.
//!
//! While Ksplice tries an update, it lists the blockers of the last try with the
//! functions on their stacks. It does not show otherwise which functions an update
//! changes.

use std::collections::BTreeMap;

use crate::{
    kernel::{
        ReadError, Roots,
        ksplice::{self, Conflict, Stage, Update},
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
            progress: Known::No("all tasks switch at once, while the machine is stopped"),
            blockers: Known::Yes,
            reasons: Known::Partly("only the functions on their stacks at the last try"),
            calls: Known::No("Ksplice does not show which functions an update changes"),
            check: Known::No("its updates have their own file format"),
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
        // A task that blocks two updates counts once.
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
                        "{} (pid {}) blocked {} and has ended.",
                        conflict.comm, conflict.pid, update.id
                    )),
                }
            }
            if update.conflicts.maybe_cut {
                left.notes.push(format!(
                    "More tasks may block {}: the kernel lists only one page of them.",
                    update.id
                ));
            }
        }
        left.tasks = tasks.into_values().collect();
        Ok(Some(left))
    }
}

/// The tasks that block an update in progress.
fn holding(update: &Update) -> &[Conflict] {
    let waits = update.stage == Some(Stage::Preparing) || update.abort_cause.is_some();
    if waits { &update.conflicts.tasks } else { &[] }
}

/// `None` for a task that has ended or whose tid belongs to another task now.
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
    // If Ksplice aborts an update while it applies or reverses it, the update
    // keeps its state. Until then, Ksplice waits for the blockers.
    let tried = abort_cause.is_none() && !conflicts.tasks.is_empty();
    let direction = match stage {
        Some(Stage::Preparing) if tried => Some(Direction::Patching),
        Some(Stage::Applied | Stage::Reversed | Stage::Preparing) | None => None,
    };
    let enabled = stage.map(|stage| match stage {
        Stage::Applied => true,
        Stage::Preparing => direction.is_some(),
        Stage::Reversed => false,
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
        state: stage.map(|stage| stage.name().to_owned()),
        refusal: abort_cause.map(|cause| Refusal {
            cause: cause.name().to_owned(),
            meaning: cause.meaning(),
        }),
        description,
        ..LoadedPatch::of(view)
    }
}
