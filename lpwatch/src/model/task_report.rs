//! The tasks one transition has left, worst first: what `lpwatch tasks` and
//! `lpwatch explain` show.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Blocker, Direction, Phase, Reason, Snapshot, TransitionHold,
    snapshot::{Patch, Source, SwitchedBy, Transition},
};

/// The tasks that a transition has left. The JSON form is a contract, like that of
/// [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    pub schema_version: u32,
    pub host: String,
    pub kernel: String,
    pub taken_at: Timestamp,
    pub source: Source,
    pub daemon: bool,
    /// The patch in transition.
    pub patch: String,
    pub direction: Direction,
    pub phase: Option<Phase>,
    pub age_seconds: Option<f64>,
    pub tries: Option<u32>,
    pub signals: Option<u32>,
    /// In both directions; `null` if those before a reversal were not counted.
    #[serde(default)]
    pub tries_in_all: Option<u32>,
    #[serde(default)]
    pub signals_in_all: Option<u32>,
    pub tasks_total: Option<u32>,
    pub tasks_remaining: Option<u32>,
    /// Worst first.
    pub by_reason: Vec<ReasonCount>,
    /// Worst first.
    pub blockers: Vec<Blocker>,
    /// What the transition waits for if it is no task.
    #[serde(default)]
    pub waits_for: Option<TransitionHold>,
    /// Tasks that have switched, by way.
    pub switched: Option<SwitchedBy>,
    /// What to do about the transition as a whole.
    pub next: Vec<String>,
    pub notes: Vec<String>,
}

/// What a transition waits for if it is no task, for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaitDocument<'a> {
    pub schema_version: u32,
    pub host: &'a str,
    pub kernel: &'a str,
    pub patch: &'a str,
    pub direction: Direction,
    pub waits_for: &'a TransitionHold,
}

/// The number of tasks left for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// `null` for tasks that have not been inspected.
    pub reason: Option<Reason>,
    pub count: u32,
}

/// One task left, with the transition that it blocks, for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskDocument<'a> {
    pub schema_version: u32,
    pub host: &'a str,
    pub kernel: &'a str,
    pub patch: &'a str,
    pub direction: Direction,
    #[serde(flatten)]
    pub task: &'a Blocker,
}

impl TaskReport {
    /// The tasks left by the transition of `patch`, or of any patch if `patch` is
    /// `None`; `None` if nothing is in transition.
    #[must_use]
    pub fn of(snapshot: &Snapshot, patch: Option<&str>) -> Option<Self> {
        let (Patch { name, .. }, transition) = snapshot
            .patches
            .iter()
            .filter(|candidate| patch.is_none_or(|name| candidate.name == name))
            .find_map(|candidate| Some((candidate, candidate.transition.as_ref()?)))?;
        let Transition {
            direction,
            phase,
            age_seconds,
            tries,
            signals,
            tries_in_all,
            signals_in_all,
            ..
        } = *transition;
        let blockers = worst_first(&transition.blockers);
        // If the caller named a patch, other transitions need no note.
        let mut notes = match patch {
            None => other_transitions(snapshot, name),
            Some(_) => Vec::new(),
        };
        notes.extend(snapshot.notes.iter().cloned());
        Some(Self {
            schema_version: snapshot.schema_version,
            host: snapshot.host.clone(),
            kernel: snapshot.kernel.clone(),
            taken_at: snapshot.taken_at,
            source: snapshot.source,
            daemon: snapshot.daemon,
            patch: name.clone(),
            direction,
            phase,
            age_seconds,
            tries,
            signals,
            tries_in_all,
            signals_in_all,
            tasks_total: transition.tasks_total,
            tasks_remaining: transition.tasks_remaining,
            by_reason: by_reason(&blockers),
            blockers: blockers.into_iter().cloned().collect(),
            waits_for: transition.waits_for.clone(),
            switched: transition.switched,
            next: transition.next.clone(),
            notes,
        })
    }

    /// The task left with this id.
    #[must_use]
    pub fn task(&self, tid: u32) -> Option<&Blocker> {
        self.blockers.iter().find(|blocker| blocker.tid == tid)
    }

    /// What the transition waits for, if the task with this id is part of that.
    #[must_use]
    pub fn wait(&self, tid: u32) -> Option<&TransitionHold> {
        self.waits_for.as_ref().filter(|wait| {
            let holder = wait.holder.as_ref().map(|holder| holder.tid);
            wait.tid == Some(tid) || holder == Some(tid)
        })
    }

    /// Its JSON document.
    #[must_use]
    pub fn wait_document<'a>(&'a self, waits_for: &'a TransitionHold) -> WaitDocument<'a> {
        WaitDocument {
            schema_version: self.schema_version,
            host: &self.host,
            kernel: &self.kernel,
            patch: &self.patch,
            direction: self.direction,
            waits_for,
        }
    }

    /// The JSON document of one task.
    #[must_use]
    pub fn document<'a>(&'a self, task: &'a Blocker) -> TaskDocument<'a> {
        TaskDocument {
            schema_version: self.schema_version,
            host: &self.host,
            kernel: &self.kernel,
            patch: &self.patch,
            direction: self.direction,
            task,
        }
    }
}

/// Notes on the other transitions under way.
fn other_transitions(snapshot: &Snapshot, shown: &str) -> Vec<String> {
    let others = snapshot
        .patches
        .iter()
        .filter(|patch| patch.transition.is_some() && patch.name != shown);
    let note = |patch: &Patch| {
        format!(
            "{name} ({engine}) is also in transition; `lpwatch tasks {name}` shows its tasks.",
            name = patch.name,
            engine = patch.engine.name()
        )
    };
    others.map(note).collect()
}

/// The classes of tasks left, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockerRank {
    /// The kernel's signal does not move it.
    SleepingKthread,
    /// Nor this one, before it has left the code.
    NoUnwindData,
    UnreliableStack,
    Uninterruptible,
    KvmVcpu,
    Running,
    SleepingUser,
    WaitingForSignal,
    Idle,
    Pending,
    Unknown,
}

impl BlockerRank {
    /// The class of one task.
    #[must_use]
    pub fn of(blocker: &Blocker) -> Self {
        match blocker.reason {
            Some(Reason::SleepingOnFunction) if blocker.kthread => Self::SleepingKthread,
            Some(Reason::SleepingOnFunction) => Self::SleepingUser,
            Some(Reason::UnreliableStack) => Self::UnreliableStack,
            Some(Reason::NoUnwindData) => Self::NoUnwindData,
            Some(Reason::Uninterruptible) => Self::Uninterruptible,
            Some(Reason::KvmVcpu) => Self::KvmVcpu,
            Some(Reason::Running) => Self::Running,
            Some(Reason::WaitingForSignal) => Self::WaitingForSignal,
            Some(Reason::Idle) => Self::Idle,
            Some(Reason::Pending) => Self::Pending,
            None => Self::Unknown,
        }
    }
}

/// The tasks by rank, then by the time that they have blocked the transition.
#[must_use]
pub fn worst_first(blockers: &[Blocker]) -> Vec<&Blocker> {
    let mut sorted: Vec<&Blocker> = blockers.iter().collect();
    sorted.sort_by_key(|blocker| (BlockerRank::of(blocker), Reverse(age(blocker)), blocker.tid));
    sorted
}

/// In milliseconds, because floating-point numbers have no total order.
fn age(blocker: &Blocker) -> Option<u128> {
    let since = std::time::Duration::try_from_secs_f64(blocker.since_seconds?).ok()?;
    Some(since.as_millis())
}

fn by_reason(sorted: &[&Blocker]) -> Vec<ReasonCount> {
    let mut counts: Vec<ReasonCount> = Vec::new();
    for blocker in sorted {
        let known = counts
            .iter_mut()
            .find(|count| count.reason == blocker.reason);
        match known {
            Some(known) => known.count = known.count.saturating_add(1),
            None => counts.push(ReasonCount {
                reason: blocker.reason,
                count: 1,
            }),
        }
    }
    counts
}

#[cfg(test)]
mod tests;
