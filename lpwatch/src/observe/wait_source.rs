//! Searches what a transition waits for if it is no task: the task in the kernel's
//! livepatch code, and real-time tasks that keep a CPU for themselves.

use std::time::Duration;

use crate::{
    engine::inspect,
    kernel::{
        Roots,
        real_time::{self, RealTimeTask},
    },
    model::{
        CpuHolder, Task, TaskKind, WaitSample,
        evidence::Evidence,
        waits::{Policy, Step},
    },
};

use super::task_source::TaskSource;

/// A search reads the stack of every task, so not every second.
const SEARCH_EVERY: Duration = Duration::from_secs(5);

/// The searches in one transition.
#[derive(Debug, Default)]
pub(super) struct WaitSource {
    /// When all stacks were last read, since boot.
    searched: Option<Duration>,
    /// What was last found.
    found: WaitSample,
}

impl WaitSource {
    /// The transition does not wait for such a thing any more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What the transition waits for; `None` until the next search is due.
    pub fn search(
        &mut self,
        tasks: &mut TaskSource,
        roots: &Roots,
        at: Duration,
    ) -> Option<WaitSample> {
        let (known, has_left) = match &self.found.task {
            Some(task) => still_there(roots, task),
            None => (None, false),
        };
        let is_due = has_left
            || self
                .searched
                .is_none_or(|searched| at.saturating_sub(searched) >= SEARCH_EVERY);
        let calls_back = |task: &Task| Step::of(&task.evidence.stack).is_some_and(Step::is_certain);
        if let Some(task) = known.filter(|task| calls_back(task) || !is_due) {
            self.found = WaitSample {
                at,
                task: Some(task),
                holders: std::mem::take(&mut self.found.holders),
            };
            return Some(self.found.clone());
        }
        if !is_due {
            return None;
        }
        self.searched = Some(at);
        let task = find(tasks, roots, at);
        let holders = match &task {
            Some(task) if calls_back(task) => Vec::new(),
            _ => cpu_holders(roots),
        };
        self.found = WaitSample { at, task, holders };
        Some(self.found.clone())
    }
}

/// The task as it is now, if it still is in the kernel's livepatch code; and whether
/// it certainly is not, or has ended.
fn still_there(roots: &Roots, known: &Task) -> (Option<Task>, bool) {
    let mut task = Task {
        evidence: Evidence {
            state: known.evidence.state,
            ..Evidence::default()
        },
        ..known.clone()
    };
    let is_read = inspect(roots, &mut task);
    task.evidence.looked = is_read;
    let is_there = Step::of(&task.evidence.stack).is_some();
    let has_ended = !roots.procfs.join(task.tid.to_string()).exists();
    (
        is_there.then_some(task),
        has_ended || (is_read && !is_there),
    )
}

/// The task in the kernel's livepatch code. One that certainly runs a callback comes
/// before others: `enabled_store` is also a function of other subsystems.
fn find(tasks: &mut TaskSource, roots: &Roots, at: Duration) -> Option<Task> {
    let look = tasks.look_at_all(roots, at);
    let remaining = look.sample.into_iter().flat_map(|sample| sample.remaining);
    let mut inside: Vec<(bool, Task)> = remaining
        .filter_map(|task| Some((Step::of(&task.evidence.stack)?.is_certain(), task)))
        .collect();
    inside.sort_by_key(|(is_certain, _)| !is_certain);
    inside.into_iter().next().map(|(_, task)| task)
}

/// The real-time tasks that keep a CPU for themselves; none if they cannot be read.
pub(crate) fn cpu_holders(roots: &Roots) -> Vec<CpuHolder> {
    let found = real_time::cpu_holders(roots).unwrap_or_default();
    found.into_iter().filter_map(holder).collect()
}

fn holder(found: RealTimeTask) -> Option<CpuHolder> {
    let RealTimeTask { task, scheduling } = found;
    let kind = TaskKind::of(task.flags.unwrap_or_default(), &task.comm);
    Some(CpuHolder {
        cpu: scheduling.cpu,
        tid: task.tid,
        tgid: task.tgid,
        comm: task.comm,
        kthread: kind.is_kernel(),
        policy: Policy::of(scheduling.policy)?,
        priority: (scheduling.priority > 0).then_some(scheduling.priority),
    })
}
