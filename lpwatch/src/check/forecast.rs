//! What would happen if the patch were loaded now.

use crate::model::{
    check::{CheckFinding, Forecast, ForecastOutcome, Obstacle, Predicted},
    snapshot::Severity,
};

use crate::text::quoted;

use super::{
    CheckContext,
    facts::tasks::{PredictedBlocker, TaskFacts},
    rules::errno::{EBUSY, EEXIST, EINVAL},
};

/// When a task would switch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    AfterSignal,
    /// When it leaves the function without a signal.
    Later,
    Never,
}

/// The outcome to expect from the findings and the tasks.
pub(super) fn forecast(context: &CheckContext<'_>, findings: &[CheckFinding]) -> Forecast {
    let facts = &context.facts.tasks;
    let mut forecast = Forecast {
        outcome: ForecastOutcome::NotKnown,
        text: String::new(),
        refusal: refused(findings).and_then(|finding| finding.refusal),
        at_once: None,
        after_signal: Vec::new(),
        later: Vec::new(),
        never: Vec::new(),
    };
    if !context.is_loaded && facts.looks > 0 {
        sort_tasks(facts, &mut forecast);
    }
    forecast.outcome = course(context, &forecast);
    forecast.text = text(context, &forecast, findings);
    forecast
}

/// The finding for which the kernel would refuse the patch. With several, the one
/// that the kernel checks first.
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
        ("object_name" | "symbol", _) => 4,
        ("busy", _) => 5,
        _ => 7,
    }
}

/// Assigns each task to a list by its worst obstacle.
fn sort_tasks(facts: &TaskFacts, forecast: &mut Forecast) {
    let mut tasks: Vec<&PredictedBlocker> = facts.tasks.iter().collect();
    tasks.sort_by_key(|task| (task.tid, std::cmp::Reverse(rank(when(task, facts)))));
    // A task seen in several functions counts once.
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
    let known = facts.total.saturating_sub(in_the_way);
    forecast.at_once = (facts.unread == 0).then_some(known);
}

fn rank(when: When) -> u8 {
    match when {
        When::AtOnce => 0,
        When::AfterSignal => 1,
        When::Later => 2,
        When::Never => 3,
    }
}

fn when(task: &PredictedBlocker, facts: &TaskFacts) -> When {
    if task.obstacle == Obstacle::MainFunction {
        return When::Never;
    }
    if !facts.is_lasting(task) {
        // The kernel tries each second and soon finds it outside the function.
        return When::AtOnce;
    }
    match task.obstacle {
        // The signal wakes kernel threads too, and they sleep on.
        Obstacle::AsleepIn | Obstacle::UnreliableStack | Obstacle::NoUnwindData
            if task.kind.is_kernel() =>
        {
            When::Never
        }
        Obstacle::MainFunction => When::Never,
        Obstacle::AsleepIn
        | Obstacle::UnreliableStack
        | Obstacle::NoUnwindData
        | Obstacle::KvmVcpu => When::AfterSignal,
        // It switches on its way back to user mode.
        Obstacle::Running if task.kind.is_user() => When::AtOnce,
        Obstacle::Running | Obstacle::Uninterruptible => When::Later,
    }
}

fn predicted(task: &PredictedBlocker, facts: &TaskFacts) -> Predicted {
    Predicted {
        tid: task.tid,
        tgid: task.tgid,
        comm: task.comm.clone(),
        kthread: task.kind.is_kernel(),
        kind: task.kind,
        function: task.function.clone(),
        reason: task.obstacle,
        program: task.program.clone(),
        seen: task.seen,
        looks: facts.looks,
    }
}

fn course(context: &CheckContext<'_>, forecast: &Forecast) -> ForecastOutcome {
    if context.is_loaded {
        ForecastOutcome::Loaded
    } else if forecast.refusal.is_some() {
        ForecastOutcome::Refused
    } else if context.facts.tasks.looks == 0 {
        ForecastOutcome::NotKnown
    } else if !forecast.never.is_empty() {
        ForecastOutcome::Stalls
    } else if context.facts.tasks.unread > 0 {
        ForecastOutcome::NotKnown
    } else if !forecast.later.is_empty() {
        ForecastOutcome::Open
    } else if !forecast.after_signal.is_empty() {
        ForecastOutcome::AfterSignal
    } else {
        ForecastOutcome::Completes
    }
}

fn text(context: &CheckContext<'_>, forecast: &Forecast, findings: &[CheckFinding]) -> String {
    match forecast.outcome {
        ForecastOutcome::Loaded if context.is_in_transition() => format!(
            "The patch is in transition. To see which tasks are left, and what to do:\n\
             lpwatch status {}",
            quoted(&context.patch.name)
        ),
        ForecastOutcome::Loaded => {
            "The patch is already loaded. To see its state: lpwatch status".to_owned()
        }
        ForecastOutcome::Refused => {
            let why = refused(findings).map_or("", |finding| finding.text.as_str());
            format!("The kernel would refuse it: {why}")
        }
        ForecastOutcome::NotKnown => unknown(context.facts.tasks.unread),
        ForecastOutcome::Completes
        | ForecastOutcome::AfterSignal
        | ForecastOutcome::Open
        | ForecastOutcome::Stalls => {
            let severe = findings
                .iter()
                .any(|finding| finding.severity == Severity::Danger);
            let text = counts(forecast, context.facts.tasks.total);
            if severe || forecast.outcome != ForecastOutcome::Completes {
                text
            } else {
                format!("{text} The transition would complete within a few seconds.")
            }
        }
    }
}

/// Hidden tasks (hidepid) count as one: their number is unknown.
fn unknown(unread: u32) -> String {
    match unread {
        0 => "The outcome of the transition is unknown, because the tasks were not inspected."
            .to_owned(),
        1 => "The outcome of the transition is unknown, because tasks could not be inspected: run \
              lpwatch as root."
            .to_owned(),
        unread => format!(
            "The outcome of the transition is unknown, because {unread} tasks could not be \
             inspected: run lpwatch as root."
        ),
    }
}

/// `57 of 60 tasks would switch at once, 2 after the signal at 15 s, 1 never:
/// lpwatch_target (166).`
fn counts(forecast: &Forecast, total: u32) -> String {
    let mut parts = vec![match forecast.at_once {
        Some(at_once) => format!("{at_once} of {total} tasks would switch at once"),
        None => "It is unknown how many tasks would switch at once".to_owned(),
    }];
    let groups = [
        (&forecast.after_signal, "after the signal at 15 s"),
        (&forecast.later, "when they leave the function"),
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
    use crate::model::TaskKind;
    use crate::{
        check::{facts::CheckFacts, rules::samples},
        model::check::LoadRefusal,
    };

    fn foretold(tasks: Vec<PredictedBlocker>, findings: &[CheckFinding]) -> Forecast {
        let facts = CheckFacts {
            tasks: TaskFacts {
                looks: 5,
                total: 60,
                seconds: 5.0,
                tasks,
                ..TaskFacts::default()
            },
            ..CheckFacts::default()
        };
        forecast(&samples::context(&samples::patch(&["f"]), &facts), findings)
    }

    fn kthread(tid: u32, obstacle: Obstacle, seen: u32) -> PredictedBlocker {
        PredictedBlocker {
            kind: TaskKind::Kthread,
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
        assert_eq!(forecast.outcome, ForecastOutcome::Stalls);
        let expected = "57 of 60 tasks would switch at once, 2 after the signal at 15 s: t1 (1), \
                        t2 (2), 1 never: t3 (3).";
        assert_eq!(forecast.text, expected);
    }

    #[test]
    fn tasks_that_could_not_be_inspected_make_the_outcome_unknown() {
        let of = |tasks| {
            let facts = CheckFacts {
                tasks: TaskFacts {
                    looks: 5,
                    total: 60,
                    unread: 59,
                    tasks,
                    ..TaskFacts::default()
                },
                ..CheckFacts::default()
            };
            forecast(&samples::context(&samples::patch(&["f"]), &facts), &[])
        };
        let unknown = of(Vec::new());
        assert_eq!(unknown.outcome, ForecastOutcome::NotKnown);
        assert_eq!(unknown.at_once, None);
        assert!(unknown.text.contains("59 tasks could not"), "{unknown:?}");
        let stalls = of(vec![kthread(3, Obstacle::AsleepIn, 5)]);
        assert_eq!(stalls.outcome, ForecastOutcome::Stalls);
        assert!(
            stalls.text.starts_with("It is unknown how many"),
            "{stalls:?}"
        );
    }

    #[test]
    fn the_worst_decides_the_course() {
        let course = |tasks| foretold(tasks, &[]).outcome;
        assert_eq!(course(Vec::new()), ForecastOutcome::Completes);
        let user = samples::observed(1, Obstacle::AsleepIn, 5);
        assert_eq!(course(vec![user.clone()]), ForecastOutcome::AfterSignal);
        let stuck = samples::observed(2, Obstacle::Uninterruptible, 5);
        assert_eq!(
            course(vec![user.clone(), stuck.clone()]),
            ForecastOutcome::Open
        );
        let thread = kthread(3, Obstacle::AsleepIn, 5);
        assert_eq!(course(vec![user, stuck, thread]), ForecastOutcome::Stalls);
        assert_eq!(
            course(vec![samples::observed(1, Obstacle::Running, 5)]),
            ForecastOutcome::Completes
        );
    }

    #[test]
    fn a_refusal_comes_first() {
        let mut refused = samples::finding();
        refused.refusal = Some(LoadRefusal { errno: 16 });
        let forecast = foretold(vec![kthread(3, Obstacle::MainFunction, 1)], &[refused]);
        assert_eq!(forecast.outcome, ForecastOutcome::Refused);
    }

    #[test]
    fn of_several_refusals_the_kernels_first_counts() {
        let refusal = |rule: &str, errno| CheckFinding {
            rule: rule.to_owned(),
            refusal: Some(LoadRefusal { errno }),
            ..samples::finding()
        };
        let both = [refusal("busy", 16), refusal("overlap", 17)];
        assert_eq!(
            foretold(Vec::new(), &both).refusal,
            Some(LoadRefusal { errno: 17 })
        );
        let both = [refusal("tracing_blocks", 16), refusal("symbol", 22)];
        assert_eq!(
            foretold(Vec::new(), &both).refusal,
            Some(LoadRefusal { errno: 22 })
        );
    }

    #[test]
    fn without_a_look_nothing_is_foretold() {
        let facts = CheckFacts::default();
        let patch = samples::patch(&["f"]);
        let forecast = forecast(&samples::context(&patch, &facts), &[]);
        assert_eq!(
            (forecast.outcome, forecast.at_once),
            (ForecastOutcome::NotKnown, None)
        );
    }
}
