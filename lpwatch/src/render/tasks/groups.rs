//! Which tasks share a line, and which share a piece of advice.

use std::collections::HashMap;

use super::TasksOptions;
use crate::model::Blocker;

/// The tasks with the same advice.
pub(super) struct Advised<'a> {
    pub advice: Option<&'a str>,
    /// The threads of one process together.
    pub groups: Vec<Vec<&'a Blocker>>,
}

/// The tasks by advice and process, each in the order of its first task.
/// There can be very many tasks: none is compared with all others.
pub(super) fn by_advice(section: &[Blocker], options: TasksOptions) -> Vec<Advised<'_>> {
    let mut all: Vec<Advised<'_>> = Vec::new();
    let mut of_advice: HashMap<Option<&str>, usize> = HashMap::new();
    let mut of_process: HashMap<(usize, u32), Vec<usize>> = HashMap::new();
    for blocker in section {
        let advice = blocker.advice.as_deref();
        let at = *of_advice.entry(advice).or_insert(all.len());
        if at == all.len() {
            all.push(Advised {
                advice,
                groups: Vec::new(),
            });
        }
        let Some(Advised { groups, .. }) = all.get_mut(at) else {
            continue;
        };
        let candidates = of_process.entry((at, blocker.tgid)).or_default();
        let known = candidates.iter().copied().find(|&candidate| {
            let first = groups.get(candidate).and_then(|group| group.first());
            first.is_some_and(|first| are_alike(first, blocker, options))
        });
        if let Some(group) = known.and_then(|known| groups.get_mut(known)) {
            group.push(blocker);
        } else {
            candidates.push(groups.len());
            groups.push(vec![blocker]);
        }
    }
    all
}

/// Whether two threads of one process share a line. Kernel threads are processes of
/// their own; idle tasks share an id, but are not threads of one process.
fn are_alike(one: &Blocker, other: &Blocker, options: TasksOptions) -> bool {
    !one.kthread
        && !other.kthread
        && one.reason == other.reason
        && one.function == other.function
        && one.cause == other.cause
        && one.program == other.program
        && (!options.stack || one.stack == other.stack)
}
