//! The remaining tasks of a transition, and when their number last fell.

use std::{collections::HashMap, time::Duration};

use super::{
    Blocker, KernelCheck, Moment, Reason, Task, TaskKind,
    classify::{ClassifyContext, Diagnosis, classify},
    time::seconds,
};

/// The remaining tasks.
#[derive(Clone, Debug)]
pub(super) struct Remaining {
    tasks: Vec<Task>,
    /// Whether some tasks could not be read, so that there may be more.
    partly: bool,
    /// When each was first seen on old code; `None` for those of the first sample if
    /// the beginning is unknown.
    since: HashMap<u32, Option<Moment>>,
    lowest: usize,
    lowest_since: Moment,
    first_look: Moment,
    /// Whether the number has fallen while lpwatch observed it.
    fell: bool,
    /// The samples in which all tasks could be read.
    whole_looks: u32,
    looks: u32,
    /// Consecutive samples without a remaining task.
    empty_looks: u32,
}

impl Remaining {
    /// The state before the first sample, which finds `left` tasks.
    pub fn new(left: usize, at: Moment) -> Self {
        Self {
            tasks: Vec::new(),
            partly: false,
            since: HashMap::new(),
            lowest: left,
            lowest_since: at,
            first_look: at,
            fell: false,
            whole_looks: 0,
            looks: 0,
            empty_looks: 0,
        }
    }

    /// Adds a sample, which may be incomplete (`partly`). The tasks of the first
    /// sample have remained since `born`.
    pub fn look(&mut self, tasks: Vec<Task>, partly: bool, at: Moment, born: Option<Moment>) {
        self.partly = partly;
        if !partly {
            self.note_number(tasks.len(), at);
        }
        let appeared = if self.looks == 0 { born } else { Some(at) };
        let before = std::mem::take(&mut self.since);
        let since = |tid| before.get(&tid).copied().unwrap_or(appeared);
        self.since = tasks
            .iter()
            .map(|task| (task.tid, since(task.tid)))
            .collect();
        self.empty_looks = if tasks.is_empty() && !partly {
            self.empty_looks.saturating_add(1)
        } else {
            0
        };
        self.looks = self.looks.saturating_add(1);
        self.tasks = tasks;
    }

    /// Notes how many are left.
    fn note_number(&mut self, left: usize, at: Moment) {
        let is_first = self.whole_looks == 0;
        self.whole_looks = self.whole_looks.saturating_add(1);
        if is_first {
            self.first_look = at;
        }
        if is_first || left < self.lowest {
            self.lowest = left;
            self.lowest_since = at;
            self.fell |= !is_first;
        }
    }

    /// Since when their number has not fallen, if that was observed: it fell before,
    /// or, with `any_watch`, there was more than one sample.
    pub fn unchanged_since(&self, any_watch: bool) -> Option<Moment> {
        let watched = self.fell || (any_watch && self.whole_looks > 1);
        watched.then_some(self.lowest_since)
    }

    /// Whether the last sample lacks tasks that could not be read: they may have
    /// switched meanwhile.
    pub fn is_partial(&self) -> bool {
        self.partly
    }

    /// When all tasks were first read.
    pub fn first_look(&self) -> Moment {
        self.first_look
    }

    /// How many there are; `None` if not all could be read.
    pub fn count(&self) -> Option<u32> {
        let count = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        (!self.partly).then_some(count)
    }

    /// Whether several samples in a row found none.
    pub fn has_none(&self) -> bool {
        self.empty_looks > 1
    }

    /// Whether the last sample found none.
    pub fn found_none(&self) -> bool {
        self.empty_looks > 0
    }

    /// Whether there is one without an answer of the kernel. Only the first tasks
    /// count, because the others are shown in sums.
    pub fn lacks_answers(&self) -> bool {
        const FIRST: usize = 256;
        let mut first = self.tasks.iter().take(FIRST);
        first.any(|task| task.evidence.answers.is_none())
    }

    /// Each of them with its reason.
    pub fn blockers(&self, now: &Moment, context: &ClassifyContext<'_>) -> Vec<Blocker> {
        if self.has_none() {
            return vec![idle_cpus()];
        }
        let since = |tid| {
            let since = self.since.get(tid).copied().flatten()?;
            Some(now.since(&since))
        };
        let blockers = self
            .tasks
            .iter()
            .map(|task| blocker(task, classify(task, context), since(&task.tid), now));
        blockers.collect()
    }
}

/// Idle tasks are neither in /proc nor in the task list: they remain if no other
/// task does and the transition goes on.
fn idle_cpus() -> Blocker {
    let task = Task {
        comm: "swapper".to_owned(),
        kind: TaskKind::Idle,
        ..Task::default()
    };
    let finding = Diagnosis {
        reason: Some(Reason::Idle),
        ..Diagnosis::default()
    };
    blocker(&task, finding, None, &Moment::default())
}

fn blocker(task: &Task, finding: Diagnosis, since: Option<Duration>, now: &Moment) -> Blocker {
    let Task {
        tid,
        tgid,
        comm,
        kind,
        evidence,
    } = task;
    let Diagnosis {
        reason,
        cause,
        function,
        program,
        blocking_frame,
    } = finding;
    let ago = |at: Duration| seconds(now.boot.saturating_sub(at));
    Blocker {
        tid: *tid,
        tgid: *tgid,
        comm: comm.clone(),
        kthread: kind.is_kernel(),
        kind: Some(*kind),
        ns_tid: evidence.ns_tid,
        ns_tgid: evidence.ns_tgid,
        state: evidence.state,
        kernel_check: evidence.answers.as_ref().map(|answers| KernelCheck {
            answer: answers.answer,
            function: answers.function.clone(),
            tries: answers.tries,
            counted_since: Some(now.at(answers.first).wall),
            first_seconds: ago(answers.first),
            last_seconds: ago(answers.last),
        }),
        reason,
        cause,
        function,
        program,
        vfork_child: evidence.vfork_child.clone(),
        since_seconds: since.map(seconds),
        stack: evidence.stack.iter().map(ToString::to_string).collect(),
        blocking_frame,
        advice: None,
    }
}
