//! What would happen if the patch were loaded now.

use crate::model::{
    check::{CheckFinding, Course, Forecast, Obstacle, Predicted},
    snapshot::Severity,
};

use super::{
    Ground,
    facts::tasks::{Foreseen, TaskFacts},
    rules::errno::{EBUSY, EEXIST, EINVAL},
};

/// When a task would switch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    AfterSignal,
    /// When it leaves by itself.
    Later,
    Never,
}

/// The course that the findings and the tasks lead to expect.
pub(super) fn forecast(ground: &Ground<'_>, findings: &[CheckFinding]) -> Forecast {
    let facts = &ground.facts.tasks;
    let mut forecast = Forecast {
        course: Course::NotKnown,
        text: String::new(),
        refusal: refused(findings).and_then(|finding| finding.refusal),
        at_once: None,
        after_signal: Vec::new(),
        later: Vec::new(),
        never: Vec::new(),
    };
    if !ground.is_loaded && facts.looks > 0 {
        sort_tasks(facts, &mut forecast);
    }
    forecast.course = course(ground, &forecast);
    forecast.text = text(ground, &forecast, findings);
    forecast
}

/// The finding for which the kernel would refuse the patch: of several, what it
/// comes to first.
fn refused(findings: &[CheckFinding]) -> Option<&CheckFinding> {
    let refusing = findings.iter().filter(|finding| finding.refusal.is_some());
    refusing.min_by_key(|finding| step(finding))
}

/// The order of the kernel's own checks: the module loader (kernel/module), then
/// `klp_enable_patch` (kernel/livepatch/core.c).
fn step(finding: &CheckFinding) -> u8 {
    let errno = finding.refusal.map_or(0, |refusal| refusal.errno);
    match (finding.rule.as_str(), errno) {
        ("kernel", EINVAL) => 2,
        ("kernel", EBUSY) => 6,
        ("kernel", _) => 0,
        ("overlap", EEXIST) => 1,
        ("overlap", _) => 3,
        ("symbol", _) => 4,
        ("busy", _) => 5,
        _ => 7,
    }
}

/// Puts each task where it belongs, by the worst that is in its way.
fn sort_tasks(facts: &TaskFacts, forecast: &mut Forecast) {
    let mut tasks: Vec<&Foreseen> = facts.tasks.iter().collect();
    tasks.sort_by_key(|task| (task.tid, std::cmp::Reverse(rank(when(task, facts)))));
    // A task that is now in one function and now in another is one task.
    tasks.dedup_by_key(|task| task.tid);
    for task in tasks {
        let list = match when(task, facts) {
            When::AtOnce => continue,
            When::AfterSignal => &mut forecast.after_signal,
            When::Later => &mut forecast.later,
            When::Never => &mut forecast.never,
        };
        list.push(predicted(task, facts));
    }
    let in_the_way = forecast.after_signal.len() + forecast.later.len() + forecast.never.len();
    let in_the_way = u32::try_from(in_the_way).unwrap_or(u32::MAX);
    forecast.at_once = Some(facts.total.saturating_sub(in_the_way));
}

fn rank(when: When) -> u8 {
    match when {
        When::AtOnce => 0,
        When::AfterSignal => 1,
        When::Later => 2,
        When::Never => 3,
    }
}

fn when(task: &Foreseen, facts: &TaskFacts) -> When {
    if task.obstacle == Obstacle::MainFunction {
        return When::Never;
    }
    if !facts.is_lasting(task) {
        // The kernel tries each second, and finds it elsewhere soon.
        return When::AtOnce;
    }
    match (task.obstacle, task.kthread) {
        (Obstacle::MainFunction | Obstacle::AsleepIn | Obstacle::UnreliableStack, true) => {
            When::Never
        }
        (Obstacle::Uninterruptible, _) | (Obstacle::Running, true) => When::Later,
        // It switches on its way back to user mode.
        (Obstacle::Running, false) => When::AtOnce,
        (Obstacle::KvmVcpu, _)
        | (Obstacle::MainFunction | Obstacle::AsleepIn | Obstacle::UnreliableStack, false) => {
            When::AfterSignal
        }
    }
}

fn predicted(task: &Foreseen, facts: &TaskFacts) -> Predicted {
    Predicted {
        tid: task.tid,
        tgid: task.tgid,
        comm: task.comm.clone(),
        kthread: task.kthread,
        function: task.function.clone(),
        reason: task.obstacle,
        program: task.program.clone(),
        seen: task.seen,
        looks: facts.looks,
    }
}

fn course(ground: &Ground<'_>, forecast: &Forecast) -> Course {
    if ground.is_loaded {
        Course::Loaded
    } else if forecast.refusal.is_some() {
        Course::Refused
    } else if forecast.at_once.is_none() {
        Course::NotKnown
    } else if !forecast.never.is_empty() {
        Course::Stalls
    } else if !forecast.later.is_empty() {
        Course::Open
    } else if !forecast.after_signal.is_empty() {
        Course::AfterSignal
    } else {
        Course::Completes
    }
}

fn text(ground: &Ground<'_>, forecast: &Forecast, findings: &[CheckFinding]) -> String {
    match forecast.course {
        Course::Loaded => "It is loaded already: lpwatch status shows how it stands.".to_owned(),
        Course::Refused => {
            let why = refused(findings).map_or("", |finding| finding.text.as_str());
            format!("The kernel would refuse it: {why}")
        }
        Course::NotKnown => {
            "How the transition would go is not known: the tasks were not looked at.".to_owned()
        }
        Course::Completes | Course::AfterSignal | Course::Open | Course::Stalls => {
            let severe = findings
                .iter()
                .any(|finding| finding.severity == Severity::Danger);
            let text = counts(forecast, ground.facts.tasks.total);
            if severe || forecast.course != Course::Completes {
                text
            } else {
                format!("{text} The transition would complete within a few seconds.")
            }
        }
    }
}

/// `57 of 60 tasks would switch at once, 2 after the signal at 15 s, 1 never:
/// lpwatch_target (166).`
fn counts(forecast: &Forecast, total: u32) -> String {
    let at_once = forecast.at_once.unwrap_or(0);
    let mut parts = vec![format!("{at_once} of {total} tasks would switch at once")];
    let groups = [
        (&forecast.after_signal, "after the signal at 15 s"),
        (&forecast.later, "when they leave by themselves"),
        (&forecast.never, "never"),
    ];
    for (tasks, when) in groups {
        if !tasks.is_empty() {
            parts.push(format!("{} {when}: {}", tasks.len(), named(tasks)));
        }
    }
    format!("{}.", parts.join(", "))
}

fn named(tasks: &[Predicted]) -> String {
    const SHOWN: usize = 3;
    let shown = tasks.iter().take(SHOWN);
    let mut names: Vec<String> = shown
        .map(|task| format!("{} ({})", task.comm, task.tid))
        .collect();
    if tasks.len() > SHOWN {
        names.push(format!("and {} more", tasks.len() - SHOWN));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{facts::Facts, rules::samples},
        model::check::Refusal,
    };

    fn foretold(tasks: Vec<Foreseen>, findings: &[CheckFinding]) -> Forecast {
        let facts = Facts {
            tasks: TaskFacts {
                looks: 5,
                total: 60,
                seconds: 5.0,
                tasks,
                ..TaskFacts::default()
            },
            ..Facts::default()
        };
        forecast(&samples::ground(&samples::patch(&["f"]), &facts), findings)
    }

    fn kthread(tid: u32, obstacle: Obstacle, seen: u32) -> Foreseen {
        Foreseen {
            kthread: true,
            ..samples::observed(tid, obstacle, seen)
        }
    }

    #[test]
    fn everybody_has_a_time() {
        let forecast = foretold(
            vec![
                samples::observed(1, Obstacle::AsleepIn, 5),
                samples::observed(2, Obstacle::UnreliableStack, 5),
                kthread(3, Obstacle::MainFunction, 1),
                kthread(4, Obstacle::AsleepIn, 2),
            ],
            &[],
        );
        assert_eq!(forecast.course, Course::Stalls);
        let expected = "57 of 60 tasks would switch at once, 2 after the signal at 15 s: t1 (1), \
                        t2 (2), 1 never: t3 (3).";
        assert_eq!(forecast.text, expected);
    }

    #[test]
    fn the_worst_decides_the_course() {
        let course = |tasks| foretold(tasks, &[]).course;
        assert_eq!(course(Vec::new()), Course::Completes);
        let user = samples::observed(1, Obstacle::AsleepIn, 5);
        assert_eq!(course(vec![user.clone()]), Course::AfterSignal);
        let stuck = samples::observed(2, Obstacle::Uninterruptible, 5);
        assert_eq!(course(vec![user.clone(), stuck.clone()]), Course::Open);
        let thread = kthread(3, Obstacle::AsleepIn, 5);
        assert_eq!(course(vec![user, stuck, thread]), Course::Stalls);
        assert_eq!(
            course(vec![samples::observed(1, Obstacle::Running, 5)]),
            Course::Completes
        );
    }

    #[test]
    fn a_refusal_comes_first() {
        let mut refused = samples::finding();
        refused.refusal = Some(Refusal { errno: 16 });
        let forecast = foretold(vec![kthread(3, Obstacle::MainFunction, 1)], &[refused]);
        assert_eq!(forecast.course, Course::Refused);
    }

    #[test]
    fn of_several_refusals_the_kernels_first_counts() {
        let refusal = |rule: &str, errno| CheckFinding {
            rule: rule.to_owned(),
            refusal: Some(Refusal { errno }),
            ..samples::finding()
        };
        let both = [refusal("busy", 16), refusal("overlap", 17)];
        assert_eq!(
            foretold(Vec::new(), &both).refusal,
            Some(Refusal { errno: 17 })
        );
        let both = [refusal("tracing_blocks", 16), refusal("symbol", 22)];
        assert_eq!(
            foretold(Vec::new(), &both).refusal,
            Some(Refusal { errno: 22 })
        );
    }

    #[test]
    fn without_a_look_nothing_is_foretold() {
        let facts = Facts::default();
        let patch = samples::patch(&["f"]);
        let forecast = forecast(&samples::ground(&patch, &facts), &[]);
        assert_eq!(
            (forecast.course, forecast.at_once),
            (Course::NotKnown, None)
        );
    }
}
