//! What all tasks do, in several looks.

pub use crate::model::foresee::Foreseen;

use super::rates::Rates;

/// Facts for the rules `will_block` and `wont_switch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFacts {
    /// How often all tasks were looked at; 0 where they could not be.
    pub looks: u32,
    /// Tasks there were at the last look.
    pub total: u32,
    /// Seconds from the first look to the last.
    pub seconds: f64,
    /// Those that something was in the way of, in any look.
    pub tasks: Vec<Foreseen>,
    /// CPUs without a tick, as the kernel lists them (`nohz_full`).
    pub nohz_full: Option<String>,
    /// Calls of the functions to be patched, of those that were counted.
    pub rates: Rates,
    /// Calls a second from which on a function is hot; `None` for the usual.
    pub hot: Option<f64>,
}

impl TaskFacts {
    /// Takes in what one look foresees.
    pub fn add(&mut self, total: u32, foreseen: Vec<Foreseen>) {
        self.looks += 1;
        self.total = total;
        for task in foreseen {
            let known = self.tasks.iter_mut().find(|known| {
                known.tid == task.tid
                    && known.obstacle == task.obstacle
                    && known.function == task.function
            });
            match known {
                Some(known) => known.seen += 1,
                None => self.tasks.push(task),
            }
        }
    }

    /// Whether a task was found so in every look. One look alone shows nothing
    /// that lasts.
    #[must_use]
    pub fn is_lasting(&self, task: &Foreseen) -> bool {
        task.seen == self.looks && self.looks > 1
    }
}

/// The tasks as people name them.
#[must_use]
pub fn names(tasks: &[&Foreseen]) -> Vec<String> {
    tasks.iter().map(|task| task.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::check::Obstacle;

    #[test]
    fn looks_add_up() {
        let task = |tid, function: &str| Foreseen {
            tid,
            tgid: tid,
            comm: "t".to_owned(),
            kthread: false,
            obstacle: Obstacle::AsleepIn,
            function: Some(function.to_owned()),
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
}
