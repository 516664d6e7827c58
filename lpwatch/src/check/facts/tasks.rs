//! Samples of all tasks.

use std::ops::Range;

use crate::model::check::Obstacle;
use crate::model::document::Source;
pub use crate::model::prediction::PredictedBlocker;

use super::rates::Rates;

/// Facts for the rules `will_block` and `wont_switch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFacts {
    /// The number of samples; 0 if the tasks could not be inspected.
    pub looks: u32,
    /// Where they were read from; `None` if they could not be inspected.
    pub source: Option<Source>,
    /// The number of tasks in the last sample.
    pub total: u32,
    /// The tasks of the last sample that could not be inspected.
    pub unread: u32,
    /// Seconds from the first sample to the last.
    pub seconds: f64,
    /// The tasks with an obstacle in any sample, by thread id.
    pub tasks: Vec<PredictedBlocker>,
    /// CPUs without a tick, as the kernel lists them (`nohz_full`).
    pub nohz_full: Option<String>,
    /// The call rates of the functions to be patched that were counted.
    pub rates: Rates,
    /// A function with more than this many calls a second is hot; `None` for the
    /// default.
    pub hot: Option<f64>,
}

impl TaskFacts {
    /// Adds the obstacles of one sample, one a task.
    pub fn add(&mut self, total: u32, predicted: Vec<PredictedBlocker>) {
        self.looks += 1;
        self.total = total;
        let mut further = Vec::new();
        for task in predicted {
            let places = self.places_of(task.tid);
            let mut places = self.tasks.get_mut(places).into_iter().flatten();
            let known =
                places.find(|known| known.obstacle == task.obstacle && is_same_place(known, &task));
            match known {
                Some(known) => known.seen += 1,
                None => further.push(task),
            }
        }
        self.tasks.append(&mut further);
        self.tasks.sort_by_key(|task| task.tid);
    }

    /// Whether the task had such an obstacle in most samples, and was free in none:
    /// it may move from one function to be patched to another, and a sample in
    /// which it ran shows neither. A single sample proves nothing.
    #[must_use]
    pub fn is_lasting(&self, task: &PredictedBlocker) -> bool {
        let places = self.places_of(task.tid);
        let (mut alike, mut ran) = (0, 0);
        for other in self.tasks.get(places).into_iter().flatten() {
            if Hold::of(other.obstacle) == Hold::of(task.obstacle) {
                alike += other.seen;
            } else if other.obstacle == Obstacle::Running {
                ran += other.seen;
            }
        }
        self.looks > 1 && alike + ran == self.looks && alike > ran
    }

    /// Where in the list the obstacles of a task are.
    fn places_of(&self, tid: u32) -> Range<usize> {
        let first = self.tasks.partition_point(|task| task.tid < tid);
        let end = self.tasks.partition_point(|task| task.tid <= tid);
        first..end
    }
}

/// What an obstacle comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Function,
    Stack,
    Vcpu,
    Cpu,
}

impl Hold {
    fn of(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::MainFunction | Obstacle::AsleepIn | Obstacle::Uninterruptible => {
                Self::Function
            }
            Obstacle::UnreliableStack | Obstacle::NoUnwindData => Self::Stack,
            Obstacle::KvmVcpu => Self::Vcpu,
            Obstacle::Running => Self::Cpu,
        }
    }
}

/// Code without unwind data blocks a task wherever in the module it is.
fn is_same_place(one: &PredictedBlocker, other: &PredictedBlocker) -> bool {
    let anywhere = one.obstacle == Obstacle::NoUnwindData;
    one.module == other.module && (anywhere || one.function == other.function)
}

/// The names of the tasks for messages.
#[must_use]
pub fn names(tasks: &[&PredictedBlocker]) -> Vec<String> {
    tasks.iter().map(|task| task.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rules::samples;
    use crate::model::TaskKind;
    use crate::model::check::Obstacle;

    #[test]
    fn looks_add_up() {
        let task = |tid, function: &str| PredictedBlocker {
            tid,
            tgid: tid,
            comm: "t".to_owned(),
            kind: TaskKind::User,
            obstacle: Obstacle::AsleepIn,
            function: Some(function.to_owned()),
            module: None,
            program: None,
            vfork_child: None,
            seen: 1,
        };
        let mut facts = TaskFacts::default();
        facts.add(10, vec![task(1, "f"), task(2, "f")]);
        assert!(!facts.is_lasting(&facts.tasks[0]), "one look shows nothing");
        facts.add(11, vec![task(1, "f"), task(2, "g")]);
        let seen: Vec<u32> = facts.tasks.iter().map(|task| task.seen).collect();
        assert_eq!((seen, facts.looks, facts.total), (vec![2, 1, 1], 2, 11));
        assert!(facts.is_lasting(&facts.tasks[0]));
    }

    /// Whether a task with these obstacles, one a sample, is held all the time.
    fn is_held(obstacles: &[Option<Obstacle>]) -> bool {
        let mut facts = TaskFacts::default();
        for (look, obstacle) in obstacles.iter().enumerate() {
            let task = obstacle.map(|obstacle| PredictedBlocker {
                function: (obstacle != Obstacle::Running).then(|| format!("f{}", look % 2)),
                ..samples::observed(7, obstacle, 1)
            });
            // Others come before and after it.
            let others = [3, 9].map(|tid| samples::observed(tid, Obstacle::Running, 1));
            facts.add(10, others.into_iter().chain(task).collect());
        }
        let mut tasks = facts.tasks.iter();
        let held = |task: &&PredictedBlocker| task.obstacle != Obstacle::Running;
        tasks.any(|task| held(&task) && facts.is_lasting(task))
    }

    #[test]
    fn a_sample_in_which_a_task_ran_does_not_show_it_outside() {
        let (asleep, held) = (Some(Obstacle::AsleepIn), Some(Obstacle::Uninterruptible));
        let ran = Some(Obstacle::Running);
        assert!(is_held(&[held, ran, held]), "its timer woke it");
        assert!(is_held(&[held, asleep, held]), "runnable, still inside");
        assert!(is_held(&[asleep, asleep]), "in one function, then another");
        assert!(!is_held(&[asleep, ran, ran, asleep]), "it works");
        assert!(!is_held(&[asleep, None, asleep]), "it was outside");
        let stack = Some(Obstacle::UnreliableStack);
        assert!(!is_held(&[asleep, stack, asleep]), "not for one reason");
    }

    #[test]
    fn a_task_may_move_in_code_without_unwind_data() {
        let task = |function: &str, module: &str| PredictedBlocker {
            obstacle: Obstacle::NoUnwindData,
            function: Some(function.to_owned()),
            module: Some(module.to_owned()),
            ..samples::observed(1, Obstacle::NoUnwindData, 1)
        };
        let mut facts = TaskFacts::default();
        facts.add(10, vec![task("f", "blob")]);
        facts.add(10, vec![task("g", "blob")]);
        assert!(facts.is_lasting(&facts.tasks[0]));
        facts.add(10, vec![task("f", "other")]);
        assert_eq!(facts.tasks.len(), 2);
    }
}
