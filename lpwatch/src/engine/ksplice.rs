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
        ksplice::{self, AbortCause, Conflict, Conflicts, Update, UpdateStage},
        task_detail,
    },
    model::{Direction, EngineKind, PatchDetails, PatchView, Refusal, SystemView, Task},
};

use super::{Consistency, Engine, Knowledge, Known, Left, task::inspected};

/// How many of the tasks that an update was given up for are named.
const CONFLICTS_NAMED: usize = 5;

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
            stop_time: Known::Partly(
                "it is not recorded in files: only a daemon that hooks stop_machine measures it",
            ),
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
        // A task that blocks two updates counts once.
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
    let waits = update.stage == Some(UpdateStage::Preparing) || update.abort_cause.is_some();
    if waits { &update.conflicts.tasks } else { &[] }
}

/// The tasks that an update was given up for: `: bash (12) in f and 3 more`.
fn busy(conflicts: &Conflicts) -> String {
    let tasks = conflicts.tasks.iter().take(CONFLICTS_NAMED);
    let named: Vec<String> = tasks
        .map(|task| {
            format!(
                "{} ({}) in {}",
                task.comm,
                task.pid,
                task.symbols.join(", ")
            )
        })
        .collect();
    let more = match conflicts.tasks.len().saturating_sub(CONFLICTS_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if named.is_empty() {
        return String::new();
    }
    format!(": {}{more}", named.join("; "))
}

/// `None` for a task that has ended or whose tid belongs to another task now.
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
    // If Ksplice aborts an update while it applies or reverses it, the update
    // keeps its state. Until then, Ksplice waits for the blockers.
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
    let refusal = abort_cause.map(|cause| Refusal {
        errno: None,
        cause: Some(cause.to_string()),
        meaning: Some(match cause {
            AbortCause::CodeBusy => format!("{}{}", cause.meaning(), busy(&conflicts)),
            _ => cause.meaning(),
        }),
    });
    PatchView {
        enabled,
        in_transition: direction.is_some(),
        told_direction: direction,
        details: PatchDetails {
            state: stage.map(|stage| stage.to_string()),
            refusal,
            description,
            ..PatchDetails::default()
        },
        ..PatchView::new(id, EngineKind::Ksplice)
    }
}
