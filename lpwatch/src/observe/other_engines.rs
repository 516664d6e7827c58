//! The systems beside livepatch: the tasks they have left, and their lines in
//! the kernel log.

use crate::{
    engine,
    kernel::{
        Roots,
        host::Clocks,
        kmsg::{ForeignKind, ForeignLine, ForeignSystem, LoggedFunction},
    },
    model::{Direction, EngineKind, EventKind, TaskSample, event::Elsewhere},
};

/// The tasks that the other engines have left.
pub(super) struct OtherEnginesSample {
    pub samples: Vec<(EngineKind, TaskSample)>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// Reads the tasks left by each of `others` that is in transition.
pub(super) fn look(
    others: impl Iterator<Item = (EngineKind, Option<Direction>)>,
    roots: &Roots,
) -> OtherEnginesSample {
    let moving = others.filter_map(|(engine, direction)| Some((engine, direction?)));
    let mut samples = Vec::new();
    let mut notes = Vec::new();
    for (engine, direction) in moving {
        let at = Clocks::now().boot;
        let left = match engine::of(engine).tasks_left(roots) {
            Ok(Some(left)) => left,
            Ok(None) => continue,
            Err(error) => {
                let name = engine.name();
                notes.push(format!(
                    "The tasks that {name} has left are unknown: {error}."
                ));
                continue;
            }
        };
        notes.extend(left.notes);
        let sample = TaskSample {
            at,
            direction,
            total: left.total,
            remaining: left.tasks,
            unread: 0,
            switched: None,
        };
        samples.push((engine, sample));
    }
    OtherEnginesSample { samples, notes }
}

/// Converts a line of another engine to an event.
pub(super) fn event(line: ForeignLine) -> EventKind {
    let ForeignLine { system, kind } = line;
    let what = match kind {
        ForeignKind::Begun { patch, patching } => Elsewhere::Begun {
            patch,
            direction: Direction::of_enabled(patching),
        },
        ForeignKind::Applied { patch: _ }
        | ForeignKind::Reversed { patch: _ }
        | ForeignKind::Succeeded => Elsewhere::Changed,
        ForeignKind::StillInProgress { every_seconds: _ } => Elsewhere::Tried,
        ForeignKind::Forced => Elsewhere::Forced,
        ForeignKind::FunctionBusy { function } => Elsewhere::Refused {
            patch: None,
            text: busy(&function),
        },
        ForeignKind::Holder { pid, comm } => Elsewhere::Holder { pid, comm },
        ForeignKind::Aborted { patch, reason } => Elsewhere::Refused {
            patch,
            text: reason,
        },
        ForeignKind::Complaint { text } => Elsewhere::Refused { patch: None, text },
    };
    let engine = match system {
        ForeignSystem::Kpatch => EngineKind::Kpatch,
        ForeignSystem::Kgraft => EngineKind::Kgraft,
        ForeignSystem::Ksplice => EngineKind::Ksplice,
    };
    EventKind::Elsewhere { engine, what }
}

fn busy(function: &LoggedFunction) -> String {
    match function {
        LoggedFunction::Name(name) => format!("activeness safety check failed for {name}"),
        LoggedFunction::Address(address) => {
            format!("activeness safety check failed for the function at {address:#x}")
        }
    }
}
