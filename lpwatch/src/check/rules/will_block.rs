//! Tasks that are in one of the functions now.

use std::collections::BTreeMap;

use crate::{
    check::{
        Ground,
        facts::tasks::{Foreseen, TaskFacts, names},
    },
    model::{
        check::{CheckFinding, Obstacle},
        snapshot::Severity,
    },
};

use super::{
    Rule,
    findings::{finding, listed},
};

pub(super) const RULE: Rule = Rule {
    id: "will_block",
    title: "no task is asleep in a function to be patched",
    background: "\
A task switches to the new code only while none of the functions to be patched is on its kernel \
stack. The kernel looks at each task's stack once a second. A user task that sleeps in such a \
function is woken by the kernel's signal after 15 seconds and leaves it; that signal is invisible \
to the program except that a blocking system call may return early or with EINTR, which some \
programs do not expect.

Kernel threads get no signal. One that sleeps in the function is only woken, and goes on sleeping \
if it finds nothing to do. One whose *main* function is to be patched never leaves it at all: the \
transition stalls until the patch is taken back. Tasks in uninterruptible sleep (state D) are not \
moved by anything but the end of what they wait for.

The stacks of all tasks are looked at several times (--sample). What is found in every look is \
likely to be there when the patch is loaded.",
    sources: &[
        "kernel/livepatch/transition.c, klp_check_stack and klp_send_signals (5.10 to 7.3)",
        "Documentation/livepatch/livepatch.rst, Consistency model",
        "kernel/kthread.c, kthread()",
    ],
    judge,
};

/// What can be said of all tasks of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Main,
    Kthread,
    Uninterruptible,
    User,
    /// Not in every look.
    NowAndThen,
}

impl Kind {
    fn of(task: &Foreseen, facts: &TaskFacts) -> Option<Self> {
        let lasting = facts.is_lasting(task);
        match task.obstacle {
            Obstacle::MainFunction => Some(Self::Main),
            Obstacle::AsleepIn | Obstacle::Uninterruptible if !lasting => Some(Self::NowAndThen),
            Obstacle::Uninterruptible => Some(Self::Uninterruptible),
            Obstacle::AsleepIn if task.kthread => Some(Self::Kthread),
            Obstacle::AsleepIn => Some(Self::User),
            Obstacle::UnreliableStack | Obstacle::Running | Obstacle::KvmVcpu => None,
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Main | Self::Kthread => Severity::Danger,
            Self::Uninterruptible | Self::User => Severity::Warning,
            Self::NowAndThen => Severity::Note,
        }
    }
}

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    if ground.is_loaded {
        return Vec::new();
    }
    let facts = &ground.facts.tasks;
    let mut groups: BTreeMap<(Kind, &str), Vec<&Foreseen>> = BTreeMap::new();
    for task in &facts.tasks {
        if let Some(kind) = Kind::of(task, facts) {
            let function = task.function.as_deref().unwrap_or("a function");
            groups.entry((kind, function)).or_default().push(task);
        }
    }
    let found = groups.iter();
    found
        .map(|((kind, function), tasks)| group(*kind, function, tasks, facts))
        .collect()
}

fn group(kind: Kind, function: &str, tasks: &[&Foreseen], facts: &TaskFacts) -> CheckFinding {
    let names = listed(&names(tasks));
    let looks = format!("{} looks over {:.0} s", facts.looks, facts.seconds);
    let (text, remedy) = match kind {
        Kind::Main => (
            format!(
                "{function} is the main function of kernel threads ({names}), which never leave \
                 it: the transition would stall."
            ),
            vec![
                "Leave that function out of the patch, or stop these threads first (unload what \
                 started them)."
                    .to_owned(),
            ],
        ),
        Kind::Kthread => (
            format!(
                "Kernel threads sleep in {function} all the time ({names}), and no signal moves \
                 them: the transition would stall."
            ),
            vec!["Give them something to do while the patch is applied, or stop them.".to_owned()],
        ),
        Kind::Uninterruptible => (
            format!(
                "Tasks are in uninterruptible sleep in {function} ({names}): nothing moves them \
                 but the end of what they wait for."
            ),
            vec![
                "Find out what they wait for (/proc/TID/stack) before the patch is loaded."
                    .to_owned(),
            ],
        ),
        Kind::User => (
            format!(
                "Tasks sleep in {function} ({names}): they would switch at the kernel's signal, \
                 15 s in."
            ),
            vec![
                "If a program among them does not stand an early return of its system call, stop \
                 it first."
                    .to_owned(),
            ],
        ),
        Kind::NowAndThen => (
            format!("Tasks are in {function} now and then ({names}): they switch in between."),
            Vec::new(),
        ),
    };
    let evidence = tasks.iter().map(|task| {
        let kind = if task.kthread {
            "kernel thread"
        } else {
            "task"
        };
        format!(
            "{kind} {}: in {function} in {} of {looks}",
            task.name(),
            task.seen
        )
    });
    finding(&RULE, kind.severity(), text, None)
        .with_evidence(evidence.collect())
        .with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::Facts, rules::samples};

    fn judged(tasks: Vec<Foreseen>, looks: u32) -> Vec<(Severity, String)> {
        let facts = Facts {
            tasks: TaskFacts {
                looks,
                total: 50,
                seconds: 5.0,
                tasks,
                ..TaskFacts::default()
            },
            ..Facts::default()
        };
        let found = judge(&samples::ground(&samples::patch(&["f"]), &facts));
        found
            .into_iter()
            .map(|found| (found.severity, found.text))
            .collect()
    }

    #[test]
    fn nobody_in_the_way_is_no_finding() {
        assert!(judged(Vec::new(), 5).is_empty());
        // These are for another rule.
        assert!(judged(vec![samples::observed(1, Obstacle::Running, 5)], 5).is_empty());
    }

    #[test]
    fn a_main_function_is_a_danger_at_once() {
        let found = judged(vec![samples::observed(7, Obstacle::MainFunction, 1)], 1);
        assert_eq!(found[0].0, Severity::Danger);
        assert!(found[0].1.contains("t7 (7)"), "{}", found[0].1);
    }

    #[test]
    fn who_sleeps_there_decides() {
        let mut kthread = samples::observed(1, Obstacle::AsleepIn, 5);
        kthread.kthread = true;
        assert_eq!(judged(vec![kthread], 5)[0].0, Severity::Danger);
        let user = samples::observed(2, Obstacle::AsleepIn, 5);
        assert_eq!(judged(vec![user.clone()], 5)[0].0, Severity::Warning);
        assert_eq!(judged(vec![user], 9)[0].0, Severity::Note, "now and then");
        let stuck = samples::observed(3, Obstacle::Uninterruptible, 5);
        assert_eq!(judged(vec![stuck], 5)[0].0, Severity::Warning);
    }
}
