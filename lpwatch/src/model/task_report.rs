//! The tasks one transition has left, worst first: what `lpwatch tasks` and
//! `lpwatch explain` show.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{
    Blocker, Reason, Snapshot, TransitionHold, TransitionSummary,
    document::DocumentHead,
    snapshot::{Patch, SwitchedBy},
};

/// The tasks that a transition has left.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    pub head: DocumentHead,
    pub daemon: bool,
    /// The patch in transition.
    pub patch: String,
    pub transition: TransitionSummary,
    /// Worst first.
    pub by_reason: Vec<ReasonCount>,
    /// Worst first.
    pub blockers: Vec<Blocker>,
    /// What the transition waits for if it is no task.
    pub waits_for: Option<TransitionHold>,
    /// Tasks that have switched, by way.
    pub switched: Option<SwitchedBy>,
    /// What to do about the transition as a whole.
    pub next: Vec<String>,
    pub notes: Vec<String>,
}

/// The tasks that a transition has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TasksDocument<'a> {
    #[serde(flatten)]
    head: &'a DocumentHead,
    /// Whether it comes from a daemon, which also knows earlier events.
    daemon: bool,
    /// The patch in transition; `null` if nothing is in transition.
    patch: Option<&'a str>,
    /// Its transition; `null` if nothing is in transition.
    transition: Option<&'a TransitionSummary>,
    /// How many tasks are left for each reason, worst first.
    by_reason: &'a [ReasonCount],
    /// The tasks left, worst first.
    blockers: &'a [Blocker],
    /// What the transition waits for if it is no task; `null` if nothing of that was
    /// found.
    waits_for: Option<&'a TransitionHold>,
    /// Tasks that have switched, by how they did; `null` if no hook has counted them
    /// from the start.
    switched: Option<SwitchedBy>,
    /// What to do about the transition as a whole. A command follows its sentence
    /// after a newline.
    next: &'a [String],
    /// What is missing on this host, and other transitions, one note each.
    notes: &'a [String],
}

impl<'a> TasksDocument<'a> {
    /// The document of `report`; `None` where nothing is in transition.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, report: Option<&'a TaskReport>) -> Self {
        Self {
            head: &snapshot.head,
            daemon: snapshot.daemon,
            patch: report.map(|report| report.patch.as_str()),
            transition: report.map(|report| &report.transition),
            by_reason: report.map_or(&[], |report| &report.by_reason),
            blockers: report.map_or(&[], |report| &report.blockers),
            waits_for: report.and_then(|report| report.waits_for.as_ref()),
            switched: report.and_then(|report| report.switched),
            next: report.map_or(&[], |report| &report.next),
            notes: report.map_or(&snapshot.notes, |report| &report.notes),
        }
    }
}

/// One task of a transition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TaskDocument<'a> {
    #[serde(flatten)]
    head: &'a DocumentHead,
    /// Whether it comes from a daemon, which also knows earlier events.
    daemon: bool,
    /// The patch in transition.
    patch: &'a str,
    /// Its transition.
    transition: &'a TransitionSummary,
    /// The task left; `null` if the task is one that the transition waits for in
    /// another way, see `waits_for`.
    task: Option<&'a Blocker>,
    /// What the transition waits for, if the task is part of that: it runs a callback
    /// or keeps a CPU; otherwise `null`.
    waits_for: Option<&'a TransitionHold>,
}

/// The number of tasks left for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReasonCount {
    /// Why they have not switched; `null` for tasks that were not inspected.
    pub reason: Option<Reason>,
    /// The number of tasks.
    pub count: u32,
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
        let blockers = worst_first(&transition.blockers);
        // If the caller named a patch, other transitions need no note.
        let mut notes = match patch {
            None => other_transitions(snapshot, name),
            Some(_) => Vec::new(),
        };
        notes.extend(snapshot.notes.iter().cloned());
        Some(Self {
            head: snapshot.head.clone(),
            daemon: snapshot.daemon,
            patch: name.clone(),
            transition: TransitionSummary::of(transition),
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

    /// The JSON document of one task that it has left.
    #[must_use]
    pub fn document<'a>(&'a self, task: &'a Blocker) -> TaskDocument<'a> {
        TaskDocument {
            head: &self.head,
            daemon: self.daemon,
            patch: &self.patch,
            transition: &self.transition,
            task: Some(task),
            waits_for: None,
        }
    }

    /// The JSON document of a task that is part of `waits_for`.
    #[must_use]
    pub fn wait_document<'a>(&'a self, waits_for: &'a TransitionHold) -> TaskDocument<'a> {
        TaskDocument {
            head: &self.head,
            daemon: self.daemon,
            patch: &self.patch,
            transition: &self.transition,
            task: waits_for.tid.and_then(|tid| self.task(tid)),
            waits_for: Some(waits_for),
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

pub(super) fn by_reason(sorted: &[&Blocker]) -> Vec<ReasonCount> {
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
