//! A real-time task that keeps a CPU for itself.

use crate::{
    check::{CheckContext, facts::real_time::RealTimeFacts},
    model::{CpuHolder, check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings::finding};

pub(super) const RULE: Rule = Rule {
    id: "cpu_held",
    title: "no real-time task keeps a CPU for itself",
    background: "\
At the end of a transition the kernel runs a work item on every CPU, and waits for all of them. A \
task with the policy SCHED_FIFO, SCHED_RR or SCHED_DEADLINE that never sleeps keeps the workqueue's \
threads of its CPU from running. Then every task has switched, but the transition does not end: \
the process that loads the patch does not return, and no patch can be enabled, disabled or reversed \
meanwhile.

By default the kernel leaves ordinary tasks a twentieth of each second \
(kernel.sched_rt_runtime_us=950000; since 6.12 also the fair server of the scheduler). The \
transition then ends later. With kernel.sched_rt_runtime_us=-1 a kernel before 6.12 leaves them \
nothing.",
    sources: &[
        "kernel/livepatch/transition.c, klp_synchronize_transition (5.10 to 7.3)",
        "kernel/workqueue.c, schedule_on_each_cpu",
        "man 7 sched, on limiting the CPU usage of real-time processes",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let facts = &context.facts.real_time;
    let found = facts.holders.iter().map(|holder| judged(holder, facts));
    found.collect()
}

fn judged(holder: &CpuHolder, facts: &RealTimeFacts) -> CheckFinding {
    let CpuHolder { cpu, tid, comm, .. } = holder;
    let policy = holder.policy.name();
    let (severity, effect) = if facts.is_limited == Some(true) {
        (
            Severity::Note,
            "the kernel's own work there gets a small part of each second, and the transition ends \
             later",
        )
    } else {
        (
            Severity::Warning,
            "the kernel's own work there may not run, and the transition may not end although \
             every task has switched",
        )
    };
    let text = format!("{comm} ({tid}, {policy}) keeps CPU {cpu} for itself: {effect}.");
    let priority = holder
        .priority
        .map_or_else(String::new, |priority| format!(", priority {priority}"));
    let runtime = facts.runtime_us.map_or_else(
        || "kernel.sched_rt_runtime_us is unknown".to_owned(),
        |runtime| format!("kernel.sched_rt_runtime_us is {runtime}"),
    );
    let mut remedy = vec![format!("Give it the ordinary policy: chrt -o -p 0 {tid}")];
    if !holder.kthread {
        remedy.push(format!("Or end its process: kill {}", holder.tgid));
    }
    finding(&RULE, severity, text, None)
        .with_evidence(vec![
            format!("{comm} ({tid}): {policy}{priority}, running on CPU {cpu} all the time"),
            runtime,
        ])
        .with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::CheckFacts, rules::samples};
    use crate::model::waits::Policy;

    fn judged(is_limited: Option<bool>) -> Vec<CheckFinding> {
        let holder = CpuHolder {
            cpu: 1,
            tid: 201,
            tgid: 200,
            comm: "hog".to_owned(),
            kthread: false,
            policy: Policy::Fifo,
            priority: Some(90),
        };
        let facts = CheckFacts {
            real_time: RealTimeFacts {
                holders: vec![holder],
                runtime_us: Some(-1),
                is_limited,
            },
            ..CheckFacts::default()
        };
        judge(&samples::context(&samples::patch(&["f"]), &facts))
    }

    #[test]
    fn the_task_is_named_with_its_remedy() {
        for is_limited in [None, Some(false)] {
            let found = judged(is_limited);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].severity, Severity::Warning);
            assert!(
                found[0]
                    .text
                    .starts_with("hog (201, SCHED_FIFO) keeps CPU 1")
            );
            assert!(found[0].remedy[0].ends_with("chrt -o -p 0 201"));
        }
        assert_eq!(judged(Some(true))[0].severity, Severity::Note);
    }

    #[test]
    fn nothing_is_found_on_an_ordinary_host() {
        let facts = CheckFacts::default();
        assert!(judge(&samples::context(&samples::patch(&["f"]), &facts)).is_empty());
    }
}
