//! What the model takes in.

use super::{
    EngineKind, Event, SystemView, TaskSample, calls::CallsReading, check::CheckReport,
    snapshot::Probe, stops::Stop,
};

/// What the model takes in. A variant that holds a number or a list of what is
/// known replaces the one before.
#[derive(Clone, Debug)]
pub enum Input {
    /// A hook or the kernel log reported something.
    Event(Event),
    /// So many events were lost since the hooks were attached; readings make up
    /// for them.
    EventsLost(u64),
    /// Whether ftrace is switched off, so that hooks do not fire and only the log
    /// reports events.
    HooksDisabled(bool),
    /// A reading of all patches.
    Reading(SystemView),
    /// The tasks that an engine has left; a look at all tasks for livepatch.
    Tasks {
        engine: EngineKind,
        sample: TaskSample,
    },
    /// A reading of the counters.
    Calls(CallsReading),
    /// Stops of the machine are hooked from now on.
    StopsHooked,
    /// A stop of the machine.
    Stop(Stop),
    /// So many records of stops were lost since they were hooked.
    StopsLost(u64),
    /// The result of checking a patch.
    Check(Box<CheckReport>),
    /// The probes, and which of them are attached.
    Probes(Vec<Probe>),
    /// The sentences that hold now.
    Notes(Vec<String>),
}
