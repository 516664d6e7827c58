//! Joins the records of the CPUs to stops of the machine.

use std::time::Duration;

/// How long to wait for further records after the last one of a stop.
const LATE: Duration = Duration::from_secs(1);

/// The number of incomplete stops to keep.
const REMEMBERED: usize = 16;

/// One CPU in one stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuStop {
    /// Distinguishes stops at the same time.
    pub stop: u64,
    /// The address of the function that ran meanwhile; 0 if unknown.
    pub function: u64,
    pub cpu: u32,
    /// How many CPUs the stop includes; 0 if unknown.
    pub cpus: u32,
    /// Since boot.
    pub begun: Duration,
    pub ended: Duration,
}

/// One stop, joined from the records of its CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    pub function: u64,
    /// When the first and the last CPU stopped, and when the first and the last were
    /// released. Since boot.
    pub first_held: Duration,
    pub last_held: Duration,
    pub first_free: Duration,
    pub last_free: Duration,
    pub cpus: u32,
    /// How many there should be; 0 if unknown.
    pub cpus_of: u32,
}

impl Joined {
    /// From the stop of the last CPU to the release of the first.
    #[must_use]
    pub fn stopped(&self) -> Duration {
        self.first_free.saturating_sub(self.last_held)
    }

    /// From the stop of the first CPU to the release of the last.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.last_free.saturating_sub(self.first_held)
    }
}

/// Joins the records of CPUs to stops.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Vec<Open>,
    /// Stops that were closed before all records arrived.
    incomplete: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    stop: u64,
    cpus: Vec<u32>,
    joined: Joined,
}

impl Open {
    fn new(span: &CpuStop) -> Self {
        Self {
            stop: span.stop,
            cpus: vec![span.cpu],
            joined: Joined {
                function: span.function,
                first_held: span.begun,
                last_held: span.begun,
                first_free: span.ended,
                last_free: span.ended,
                cpus: 1,
                cpus_of: span.cpus,
            },
        }
    }

    /// Every CPU of a stop enters it before any may leave.
    fn takes(&self, span: &CpuStop) -> bool {
        let joined = &self.joined;
        self.stop == span.stop
            && joined.function == span.function
            && !self.cpus.contains(&span.cpu)
            && span.begun <= joined.first_free
            && joined.last_held <= span.ended
    }

    fn take(&mut self, span: &CpuStop) {
        self.cpus.push(span.cpu);
        let joined = &mut self.joined;
        joined.cpus += 1;
        joined.first_held = joined.first_held.min(span.begun);
        joined.last_held = joined.last_held.max(span.begun);
        joined.first_free = joined.first_free.min(span.ended);
        joined.last_free = joined.last_free.max(span.ended);
    }

    fn is_complete(&self) -> bool {
        self.joined.cpus_of != 0 && self.joined.cpus >= self.joined.cpus_of
    }
}

impl Joiner {
    /// Adds a record; returns the stop that it completes.
    pub fn add(&mut self, span: &CpuStop) -> Option<Joined> {
        // An offline CPU reports when it is online again.
        if self.incomplete.iter().any(|open| open.takes(span)) {
            return None;
        }
        let at = self.open.iter().position(|open| open.takes(span));
        let at = at.unwrap_or(self.open.len());
        match self.open.get_mut(at) {
            Some(open) => open.take(span),
            None => self.open.push(Open::new(span)),
        }
        let complete = self.open.get(at).is_some_and(Open::is_complete);
        complete.then(|| self.open.remove(at).joined)
    }

    /// The stops for which no more records are expected.
    pub fn overdue(&mut self, now: Duration) -> Vec<Joined> {
        let is_overdue = |open: &mut Open| now.saturating_sub(open.joined.last_free) >= LATE;
        let overdue: Vec<Open> = self.open.extract_if(.., is_overdue).collect();
        let joined = overdue.iter().map(|open| open.joined).collect();
        self.incomplete.extend(overdue);
        let too_many = self.incomplete.len().saturating_sub(REMEMBERED);
        self.incomplete.drain(..too_many);
        joined
    }

    /// When to ask for those, if there may be any.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        (!self.open.is_empty()).then_some(LATE)
    }
}
