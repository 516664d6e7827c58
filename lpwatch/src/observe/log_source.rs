//! The kernel log as a source of events.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::{
    kernel::{
        ReadError,
        host::Clocks,
        kmsg::{LivepatchLine, LogReader, LogRecord, parse_foreign, parse_livepatch},
    },
    model::{Direction, Event, EventKind, EventSource, ObservedFact, snapshot::Probe},
};

use super::other_engines;

/// The kernel log, read for the lines of livepatch.
#[derive(Debug)]
pub(super) struct LogSource(LogReader);

impl LogSource {
    /// Whether it is read, as the snapshot shows it.
    pub fn probe(attached: bool) -> Probe {
        Probe {
            fact: ObservedFact::Log,
            kind: "kmsg".to_owned(),
            target: "/dev/kmsg".to_owned(),
            attached,
            note: None,
        }
    }

    /// Has the snapshot show that it is no longer read.
    pub fn lost(probes: &mut [Probe]) {
        for probe in probes
            .iter_mut()
            .filter(|probe| probe.fact == ObservedFact::Log)
        {
            probe.attached = false;
        }
    }

    /// Opens the log at its oldest line.
    pub fn open() -> Result<Self, ReadError> {
        LogReader::open_from_start().map(Self)
    }

    /// The events in the lines since the last call.
    pub fn drain(&mut self, clocks: &Clocks) -> Result<Vec<Event>, ReadError> {
        let records = self.0.read_available()?;
        Ok(records
            .iter()
            .filter_map(|record| event(record, clocks))
            .collect())
    }
}

impl AsFd for LogSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for LogSource {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn event(record: &LogRecord, clocks: &Clocks) -> Option<Event> {
    let direction = |patching: bool| {
        if patching {
            Direction::Patching
        } else {
            Direction::Unpatching
        }
    };
    let Some(line) = parse_livepatch(&record.text) else {
        let line = parse_foreign(&record.text)?;
        return Some(Event {
            at: clocks.log_to_boot(record.micros),
            source: EventSource::Log,
            kind: other_engines::event(line),
        });
    };
    let kind = match line {
        LivepatchLine::Enabling { patch } => EventKind::Begun {
            patch,
            direction: Direction::Patching,
            replace: None,
            epoch: None,
        },
        LivepatchLine::Starting { patch, patching } => EventKind::Begun {
            patch,
            direction: direction(patching),
            replace: None,
            epoch: None,
        },
        LivepatchLine::Complete { patch, patching } => EventKind::Complete {
            patch: Some(patch),
            direction: Some(direction(patching)),
            before: None,
            epoch: None,
        },
        LivepatchLine::Signaling => EventKind::Signaling,
        LivepatchLine::Forcing => EventKind::Forced { patch: None },
        LivepatchLine::Applying { .. } | LivepatchLine::Reverting { .. } => {
            EventKind::ObjectChanged
        }
        LivepatchLine::Complaint { patch, text } => EventKind::Complaint { patch, text },
    };
    Some(Event {
        at: clocks.log_to_boot(record.micros),
        source: EventSource::Log,
        kind,
    })
}
