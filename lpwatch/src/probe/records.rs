//! Converts the records of the BPF programs to the terms of the model.

use std::time::Duration;

use lpwatch_common::transition::{
    DIRECTION_PATCHING, DIRECTION_UNPATCHING, LOGIN_UID_UNSET, TRIES_UNKNOWN, TransitionKind,
    TransitionRecord,
};

use crate::model::{Direction, Event, EventKind, EventSource, Operator};

/// The event in a record; `None` for a kind that this build does not know.
pub(super) fn event(record: &TransitionRecord) -> Option<Event> {
    let patch = text(&record.patch);
    let named = (!patch.is_empty()).then_some(patch.clone());
    let direction = direction(record.direction);
    let before = (record.tries != TRIES_UNKNOWN).then_some(record.tries);
    let kind = match TransitionKind::from_wire(record.kind)? {
        TransitionKind::Begun => EventKind::Begun {
            patch,
            direction: direction?,
            replace: match record.replace {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
            epoch: Some(record.epoch),
        },
        TransitionKind::Try => EventKind::Try {
            patch: named,
            direction,
            before,
        },
        TransitionKind::Complete => EventKind::Complete {
            patch: named,
            direction,
            before,
            epoch: Some(record.epoch),
        },
        TransitionKind::ModuleLoaded => EventKind::ModuleChanged {
            module: patch,
            loaded: true,
        },
        TransitionKind::ModuleFreed => EventKind::ModuleChanged {
            module: patch,
            loaded: false,
        },
        TransitionKind::Reversed => EventKind::Reversed {
            patch: named,
            by: Some(operator(record)),
        },
        TransitionKind::Forced => EventKind::Forced {
            patch: named,
            by: Some(operator(record)),
        },
        TransitionKind::Cancelled => EventKind::Cancelled { patch: named },
        TransitionKind::Refused => EventKind::Refused {
            patch,
            errno: record.errno.unsigned_abs(),
        },
    };
    Some(Event {
        at: Duration::from_nanos(record.boot_ns),
        source: EventSource::Hook,
        kind,
    })
}

/// The thread in whose context the hook fired: the one that wrote to sysfs.
fn operator(record: &TransitionRecord) -> Operator {
    Operator {
        tid: record.tid,
        comm: text(&record.comm),
        uid: record.uid,
        login_uid: (record.login_uid != LOGIN_UID_UNSET).then_some(record.login_uid),
    }
}

fn direction(state: i32) -> Option<Direction> {
    match state {
        DIRECTION_PATCHING => Some(Direction::Patching),
        DIRECTION_UNPATCHING => Some(Direction::Unpatching),
        _ => None,
    }
}

/// A NUL-padded name; bytes that are not UTF-8 are replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
