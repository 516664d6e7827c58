//! Samples of all tasks.

use crate::model::check::Obstacle;
pub use crate::model::prediction::PredictedBlocker;

use super::rates::Rates;

/// Facts for the rules `will_block` and `wont_switch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFacts {
    /// The number of samples; 0 if the tasks could not be inspected.
    pub looks: u32,
    /// The number of tasks in the last sample.
    pub total: u32,
    /// Seconds from the first sample to the last.
    pub seconds: f64,
    /// The tasks with an obstacle in any sample.
    pub tasks: Vec<PredictedBlocker>,
    /// CPUs without a tick, as the kernel lists them (`nohz_full`).
    pub nohz_full: Option<String>,
    /// The call rates of the functions to be patched that were counted.
    pub rates: Rates,
    /// A function with at least this many calls a second is hot; `None` for the
    /// default.
    pub hot: Option<f64>,
}

impl TaskFacts {
    /// Adds the obstacles of one sample.
    pub fn add(&mut self, total: u32, predicted: Vec<PredictedBlocker>) {
        self.looks += 1;
        self.total = total;
        for task in predicted {
            let known = self.tasks.iter_mut().find(|known| {
                known.tid == task.tid
                    && known.obstacle == task.obstacle
                    && is_same_place(known, &task)
            });
            match known {
                Some(known) => known.seen += 1,
                None => self.tasks.push(task),
            }
        }
    }

    /// Whether the task had this obstacle in every sample. A single sample proves
    /// nothing.
    #[must_use]
    pub fn is_lasting(&self, task: &PredictedBlocker) -> bool {
        task.seen == self.looks && self.looks > 1
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
