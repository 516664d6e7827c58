//! One thing that happened.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::model::{
    Culprit, Direction, EngineKind, Outcome, document::milliseconds, snapshot::Severity,
    task_report::ReasonCount,
};

/// One thing that happened on the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Event"))]
pub struct Entry {
    /// Its number. A later event has a higher number, also after a restart of a daemon
    /// that keeps a history.
    pub id: u64,
    /// When it happened, by the host's own clock.
    #[serde(serialize_with = "milliseconds")]
    pub at: Timestamp,
    /// When it happened, in seconds since boot, time asleep included.
    pub boot_seconds: f64,
    /// The kernel's id of that boot (`/proc/sys/kernel/random/boot_id`); `null` if it
    /// could not be read.
    pub boot_id: Option<String>,
    /// The name of its patch; `null` if it is not about one, or its name is unknown.
    pub patch: Option<String>,
    /// What happened.
    pub kind: EntryKind,
    /// How much the event matters.
    pub severity: Severity,
    /// One sentence for people.
    pub message: String,
    /// The same in single values.
    pub details: Details,
}

/// The kind of an event. [history.md](history.md#events) describes each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "EventKind"))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    /// A daemon began to watch the host.
    WatchBegan,
    /// The daemon did not run for at least ten seconds, and something happened meanwhile.
    WatchInterrupted,
    /// A transition began.
    TransitionBegun,
    /// A transition was under way when lpwatch first saw it.
    TransitionFound,
    /// Tasks switched, summed over at least ten seconds or up to the end.
    TasksSwitched,
    /// A transition became slow.
    TransitionSlow,
    /// A transition became long.
    TransitionLong,
    /// A transition stalled.
    TransitionStalled,
    /// Tasks switch again in a transition that was stalled.
    TransitionResumed,
    /// The kernel signalled the tasks left for the first time in this direction.
    TasksSignalled,
    /// An operator reversed a transition.
    TransitionReversed,
    /// An operator forced a transition.
    TransitionForced,
    /// A transition ended; `outcome` says how.
    TransitionEnded,
    /// The kernel or the patching system refused a patch.
    PatchRefused,
    /// A patch is enabled, and lpwatch saw no transition of it.
    PatchEnabled,
    /// A patch is disabled, and lpwatch saw no transition of it: for example because
    /// another patch replaced it.
    PatchDisabled,
    /// A transition waits for a callback of the patch.
    CallbackBegun,
    /// A callback for which a transition waited has returned.
    CallbackEnded,
    /// A transition waits for the kernel's own work, or for a CPU that a task holds.
    WaitBegun,
    /// A transition no longer waits for the kernel's own work or for a CPU.
    WaitEnded,
    /// A module that a patch changes was loaded, and is patched.
    ObjectLoaded,
    /// A module that a patch changes was unloaded.
    ObjectUnloaded,
    /// The kernel refused to load a module because a patch does not fit it.
    ObjectRefused,
    /// A foreign tracing program makes a task's stack unreliable, so that the task
    /// cannot switch.
    ForeignTracing,
    /// The new code of functions was entered for the first time.
    NewCodeEntered,
    /// Calls should run new code, and do not.
    EffectLost,
    /// Calls run the new code again.
    EffectRegained,
    /// `stop_machine` stopped all CPUs.
    MachineStopped,
    /// Events of the kernel, or of this journal, were lost.
    EventsLost,
}

impl EntryKind {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The values of an event. Those that do not belong to its kind, and unknown ones, are
/// `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "EventDetails"))]
#[serde(default)]
pub struct Details {
    /// The patching system.
    pub engine: Option<EngineKind>,
    /// The direction of the transition. In `transition_ended` that in which it began;
    /// in `transition_reversed` the new one.
    pub direction: Option<Direction>,
    /// How the transition ended.
    pub outcome: Option<Outcome>,
    /// How long the transition, the callback or the wait took, or for how long the daemon
    /// did not run, in seconds. In other kinds the age of the transition.
    pub seconds: Option<f64>,
    /// The number of all tasks.
    pub tasks_total: Option<u32>,
    /// The tasks that have not switched.
    pub tasks_remaining: Option<u32>,
    /// The tasks that switched since the last such event of the transition.
    pub tasks_switched: Option<u32>,
    /// How often the kernel has checked all tasks, in both directions.
    pub tries: Option<u32>,
    /// How often the kernel has signalled the tasks left, in both directions.
    pub signals: Option<u32>,
    /// How many tasks are left for each reason. Empty in most kinds.
    pub by_reason: Vec<ReasonCount>,
    /// The object that was loaded, unloaded or refused, or that has the functions.
    pub object: Option<String>,
    /// The functions whose new code was entered or is not entered, or that stopped the
    /// machine, at most 16.
    pub functions: Vec<String>,
    /// Which callback: `pre_patch`, `post_patch`, `pre_unpatch` or `post_unpatch`.
    pub callback: Option<String>,
    /// The thread that is blocked, that runs the callback, or that reversed or forced the
    /// transition.
    pub tid: Option<u32>,
    /// The name of the thread.
    pub comm: Option<String>,
    /// The id of the user of the thread that reversed or forced the transition; `null` if
    /// no hook reported it.
    pub uid: Option<u32>,
    /// The id of the user who logged in, as the kernel's audit knows it, of that thread;
    /// `null` if nobody did, or it is unknown.
    pub login_uid: Option<u32>,
    /// The foreign program that makes a stack unreliable.
    pub program: Option<Culprit>,
    /// The kernel's error, a positive number.
    pub errno: Option<u32>,
    /// The cause, in the words of the kernel or of the patching system.
    pub cause: Option<String>,
    /// How long the machine was stopped, in milliseconds.
    pub stopped_ms: Option<f64>,
    /// How many events were lost.
    pub lost: Option<u64>,
}
