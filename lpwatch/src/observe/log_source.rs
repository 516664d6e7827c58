//! The kernel log as a source of events.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::{
    kernel::{
        ReadError,
        host::Clocks,
        kmsg::{
            LivepatchLine, LogReader, LogRecord, RefusalParser, RefusedModule, parse_foreign,
            parse_livepatch,
        },
    },
    model::{Direction, Event, EventKind, EventSource, ObservedFact, snapshot::Probe},
};

use super::other_engines;

/// The kernel log, read for the lines of livepatch.
#[derive(Debug)]
pub(super) struct LogSource {
    log: LogReader,
    refusals: RefusalParser,
}

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
        LogReader::open_from_start().map(|log| Self {
            log,
            refusals: RefusalParser::default(),
        })
    }

    /// The events in the lines since the last call.
    pub fn drain(&mut self, clocks: &Clocks) -> Result<Vec<Event>, ReadError> {
        let records = self.log.read_available()?;
        let mut events = Vec::new();
        for record in &records {
            take(record, clocks, &mut self.refusals, &mut events);
        }
        Ok(events)
    }
}

impl AsFd for LogSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.log.as_fd()
    }
}

impl AsRawFd for LogSource {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Adds the event of a record, if it has one.
fn take(
    record: &LogRecord,
    clocks: &Clocks,
    refusals: &mut RefusalParser,
    events: &mut Vec<Event>,
) {
    let kind = match parse_livepatch(&record.text) {
        Some(line) => match refusals.take(record.micros, &line) {
            Some(refused) => {
                events.pop_if(|event| is_cause(&event.kind, &refused));
                Some(of_refusal(refused))
            }
            None => of_line(line),
        },
        None => parse_foreign(&record.text).map(other_engines::event),
    };
    events.extend(kind.map(|kind| Event {
        at: clocks.log_to_boot(record.micros),
        source: EventSource::Log,
        kind,
    }));
}

/// Whether this line is the cause of the refusal, and so no event of its own.
fn is_cause(kind: &EventKind, refused: &RefusedModule) -> bool {
    matches!(kind, EventKind::Complaint { patch: None, text } if refused.cause.as_ref() == Some(text))
}

fn of_refusal(refused: RefusedModule) -> EventKind {
    EventKind::ObjectRefused {
        patch: refused.patch,
        object: refused.module,
        errno: refused.errno,
        cause: refused.cause,
    }
}

fn of_line(line: LivepatchLine) -> Option<EventKind> {
    let direction = |patching: bool| {
        if patching {
            Direction::Patching
        } else {
            Direction::Unpatching
        }
    };
    Some(match line {
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
        LivepatchLine::Forcing => EventKind::Forced {
            patch: None,
            by: None,
        },
        LivepatchLine::Applying { .. } => EventKind::ObjectChanged,
        LivepatchLine::Reverting { patch, object } => EventKind::ObjectReverted { patch, object },
        // The line of the refusal follows.
        LivepatchLine::ObjectFailed { .. } | LivepatchLine::ModuleRefused { .. } => return None,
        LivepatchLine::Complaint { patch, text } => EventKind::Complaint { patch, text },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_refusal_is_no_event_of_its_own() {
        let clocks = Clocks::now();
        let (mut refusals, mut events) = (RefusalParser::default(), Vec::new());
        for (seq, text) in [
            "livepatch: symbol 'gone' not found in symbol table",
            "livepatch: failed to initialize patch 'lp' for module 'nfsd' (-22)",
            "livepatch: patch 'lp' failed for module 'nfsd', refusing to load module 'nfsd'",
            "livepatch: reverting patch 'lp' on unloading module 'nfsd'",
        ]
        .into_iter()
        .enumerate()
        {
            let line = format!("4,{seq},1000,-;{text}\n");
            let record = crate::kernel::kmsg::parse_record(line.as_bytes()).unwrap();
            take(&record, &clocks, &mut refusals, &mut events);
        }
        let kinds: Vec<EventKind> = events.into_iter().map(|event| event.kind).collect();
        let (patch, object) = ("lp".to_owned(), "nfsd".to_owned());
        let refused = EventKind::ObjectRefused {
            patch: patch.clone(),
            object: object.clone(),
            errno: Some(22),
            cause: Some("symbol 'gone' not found in symbol table".to_owned()),
        };
        assert_eq!(
            kinds,
            [refused, EventKind::ObjectReverted { patch, object }]
        );
    }
}
