//! The inputs of the model.

use std::time::Duration;

use super::{
    EngineKind, Event, SystemView, TaskSample,
    calls::CallsReading,
    check::CheckReport,
    snapshot::{Probe, Source},
    stops::Stop,
    waits::WaitSample,
};

/// An input of the model. A variant with a total or a complete list replaces the
/// previous one.
#[derive(Clone, Debug)]
pub enum Input {
    /// A hook or the kernel log reported something.
    Event(Event),
    /// Whether the kernel's unwinder knows the frames of BPF.
    UnwindsBpf(bool),
    /// What is observed through BPF from now on.
    Bpf {
        source: Source,
        /// The kernel's own answers about tasks.
        verdicts: bool,
        /// Since when hooks report every transition.
        hooks_since: Option<Duration>,
        /// Why no call is counted, if that is so for all functions.
        not_counted: Option<String>,
    },
    /// The number of events lost since the hooks were attached. Readings compensate
    /// for them.
    EventsLost(u64),
    /// Whether ftrace is switched off, so that hooks do not fire and only the log
    /// reports events.
    HooksDisabled(bool),
    /// A reading of all patches.
    Reading(SystemView),
    /// The remaining tasks of an engine; for livepatch, a sample of all tasks.
    Tasks {
        engine: EngineKind,
        sample: TaskSample,
    },
    /// What livepatch's transition waits for if it is no task.
    Wait(WaitSample),
    /// A reading of the counters.
    Calls(CallsReading),
    /// Stops of the machine are hooked from now on.
    StopsHooked,
    /// A stop of the machine.
    Stop(Stop),
    /// The number of stop records lost since the hook was attached.
    StopsLost(u64),
    /// The result of checking a patch.
    Check(Box<CheckReport>),
    /// The probes, and which of them are attached.
    Probes(Vec<Probe>),
    /// The sentences that hold now.
    Notes(Vec<String>),
}
