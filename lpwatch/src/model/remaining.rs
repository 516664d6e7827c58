//! The tasks left in a transition, and since when there have been so few.

use std::{collections::HashMap, time::Duration};

use super::{
    Blocker, Moment, Reason, Task, Verdict,
    classify::{Finding, Ground, classify},
    time::seconds,
};

/// The tasks left.
#[derive(Clone, Debug)]
pub(super) struct Remaining {
    tasks: Vec<Task>,
    /// Whether some could not be read: then there may be more.
    partly: bool,
    /// When each was first seen on old code.
    since: HashMap<u32, Moment>,
    lowest: usize,
    lowest_since: Moment,
    /// Whether the number has ever fallen while lpwatch looked.
    fell: bool,
    looks: u32,
    /// Looks in a row that found no task left.
    empty_looks: u32,
}

impl Remaining {
    /// Before the first look, which finds `left` tasks.
    pub fn new(left: usize, at: Moment) -> Self {
        Self {
            tasks: Vec::new(),
            partly: false,
            since: HashMap::new(),
            lowest: left,
            lowest_since: at,
            fell: false,
            looks: 0,
            empty_looks: 0,
        }
    }

    /// Takes in a look, which may have missed some (`partly`); what the first one
    /// finds has been there since `born`.
    pub fn look(&mut self, tasks: Vec<Task>, partly: bool, at: Moment, born: Moment) {
        self.partly = partly;
        if tasks.len() < self.lowest && !partly {
            self.lowest = tasks.len();
            self.lowest_since = at;
            self.fell = true;
        }
        let appeared = if self.looks == 0 { born } else { at };
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

    /// Since when their number has not fallen, if that was watched: it fell
    /// before, or (if `any_watch` will do) there was more than one look.
    pub fn unchanged_since(&self, any_watch: bool) -> Option<Moment> {
        let watched = self.fell || (any_watch && self.looks > 1);
        watched.then_some(self.lowest_since)
    }

    /// How many there are; `None` where not all could be read.
    pub fn count(&self) -> Option<u32> {
        let count = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        (!self.partly).then_some(count)
    }

    /// Whether there is one about which the kernel was not heard. Only the
    /// first tasks count: the rest is shown in sums.
    pub fn lacks_answers(&self) -> bool {
        const FIRST: usize = 256;
        let mut first = self.tasks.iter().take(FIRST);
        first.any(|task| task.evidence.answers.is_none())
    }

    /// Each of them, and why it is left. A single look of which no beginning
    /// is known (`began`) cannot say since when.
    pub fn blockers(&self, now: &Moment, ground: &Ground<'_>, began: bool) -> Vec<Blocker> {
        if self.empty_looks > 1 {
            return vec![idle_cpus()];
        }
        let known = began || self.looks > 1;
        let since = |tid| {
            let since = self.since.get(tid).filter(|_| known);
            since.map(|since| now.since(since))
        };
        let blockers = self
            .tasks
            .iter()
            .map(|task| blocker(task, classify(task, ground), since(&task.tid), now));
        blockers.collect()
    }
}

/// Idle tasks have no entry in /proc and no place in the task list: they are
/// what is left when no task is and the transition still goes on.
fn idle_cpus() -> Blocker {
    let task = Task {
        comm: "swapper".to_owned(),
        kthread: true,
        ..Task::default()
    };
    let finding = Finding {
        reason: Some(Reason::Idle),
        ..Finding::default()
    };
    blocker(&task, finding, None, &Moment::default())
}

fn blocker(task: &Task, finding: Finding, since: Option<Duration>, now: &Moment) -> Blocker {
    let Task {
        tid,
        tgid,
        comm,
        kthread,
        evidence,
    } = task;
    let Finding {
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
        kthread: *kthread,
        ns_tid: evidence.ns_tid,
        ns_tgid: evidence.ns_tgid,
        state: evidence.state,
        verdict: evidence.answers.as_ref().map(|answers| Verdict {
            answer: answers.answer,
            function: answers.function.clone(),
            tries: answers.tries,
            first_seconds: ago(answers.first),
            last_seconds: ago(answers.last),
        }),
        reason,
        cause,
        function,
        program,
        since_seconds: since.map(seconds),
        stack: evidence.stack.iter().map(ToString::to_string).collect(),
        blocking_frame,
        advice: None,
    }
}
