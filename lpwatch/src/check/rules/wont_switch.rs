//! Tasks that would not switch for reasons other than the patched functions.

use std::collections::BTreeMap;

use crate::{
    check::{
        CheckContext,
        facts::tasks::{PredictedBlocker, TaskFacts, names},
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
    id: "wont_switch",
    title: "nothing else prevents a task from switching",
    background: "\
The kernel needs a reliable stack before it can search a task's stack for patched functions. Up to \
6.18 the x86 unwinder does not know the frames of BPF programs and trampolines: a task that sleeps \
below an fexit or fmod_ret program, on any function, has an unreliable stack. Return probes have the \
same effect on kernels before about 6.0. Such a task cannot switch before it leaves that function. \
The kernel's signal frees a user task after 15 seconds, but not a kernel thread.

Code that was built without unwind data has the same effect: a module in which objtool did not see \
every function, as with objects of a vendor that come without source. The kernel's unwinder stops \
there. The stack that the kernel shows for such a task does not reach the entry from user space or the \
beginning of a thread.

The kernel cannot inspect a task that is on a CPU. A user task switches when it next returns to user \
mode, which can take long on a CPU without a tick (nohz_full). A kernel thread that never sleeps \
switches only where the kernel lets it check itself (cond_resched, since 6.4). A thread that runs a \
virtual machine leaves the guest at the kernel's signal.",
    sources: &[
        "arch/x86/kernel/unwind_orc.c, orc_find; commits ca45c84afb8c and 01bc3b6db18d (6.19)",
        "kernel/livepatch/transition.c, klp_check_and_switch_task and __klp_sched_try_switch",
        "live-patching mailing list 2025: fentry/fexit trampolines stall transitions",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    if context.is_loaded {
        return Vec::new();
    }
    let facts = &context.facts.tasks;
    let mut found = unreliable(facts);
    found.extend(no_unwind_data(facts));
    found.extend(running(facts));
    found.extend(vcpus(facts));
    found.extend(tickless(facts));
    found
}

/// Groups the tasks by the program or probe that makes their stacks unreliable.
fn unreliable(facts: &TaskFacts) -> Vec<CheckFinding> {
    let mut groups: BTreeMap<String, Vec<&PredictedBlocker>> = BTreeMap::new();
    for task in of(facts, Obstacle::UnreliableStack) {
        groups.entry(culprit(task)).or_default().push(task);
    }
    let found = groups.iter().map(|(culprit, tasks)| {
        let lasting = tasks.iter().any(|task| facts.is_lasting(task));
        let severity = if lasting {
            Severity::Danger
        } else {
            Severity::Warning
        };
        let names = listed(&names(tasks));
        let text = format!(
            "Tasks asleep below {culprit} have unreliable stacks ({names}): they would prevent the \
             transition from completing."
        );
        let remedy = vec![
            "Stop that tracing while the patch is being enabled: detach the program or end its owner."
                .to_owned(),
        ];
        finding(&RULE, severity, text, None)
            .with_evidence(evidence(tasks, facts, "with an unreliable stack"))
            .with_remedy(remedy)
    });
    found.collect()
}

/// Groups the tasks by the module whose code the kernel cannot unwind.
fn no_unwind_data(facts: &TaskFacts) -> Vec<CheckFinding> {
    let mut groups: BTreeMap<&str, Vec<&PredictedBlocker>> = BTreeMap::new();
    for task in of(facts, Obstacle::NoUnwindData) {
        let module = task.module.as_deref().unwrap_or("a module");
        groups.entry(module).or_default().push(task);
    }
    let found = groups.iter().map(|(module, tasks)| {
        let lasting = tasks.iter().any(|task| facts.is_lasting(task));
        let severity = if lasting {
            Severity::Danger
        } else {
            Severity::Warning
        };
        let text = format!(
            "The kernel has no unwind data for code of {module}, in which tasks sleep ({}): it cannot \
             switch them before they leave that code.",
            listed(&names(tasks))
        );
        let lines = tasks.iter().map(|task| {
            let function = task.function.as_deref().unwrap_or("a function");
            format!("the stack of {} ends in {function} of {module}", task.name())
        });
        let mut lines: Vec<String> = lines.collect();
        lines.extend(evidence(tasks, facts, "with such a stack"));
        finding(&RULE, severity, text, None)
            .with_evidence(lines)
            .with_remedy(vec![format!(
                "Stop what uses {module} before the patch is enabled, or ask its vendor for a build \
                 with unwind data (objtool)."
            )])
    });
    found.collect()
}

/// A description of what makes the stack unreliable.
fn culprit(task: &PredictedBlocker) -> String {
    let function = task
        .program
        .as_ref()
        .and_then(|program| program.attached_to.as_deref())
        .or(task.function.as_deref());
    let on = function.map_or_else(String::new, |function| format!(" on {function}"));
    let Some(program) = &task.program else {
        return format!("a BPF program or return probe{on}");
    };
    let name = program.name.as_deref().unwrap_or("without a name");
    let kind = program.kind.as_deref().unwrap_or("program");
    let owner = match (&program.owner_comm, program.owner_pid, &program.pinned) {
        (Some(comm), Some(pid), _) => format!(" of {comm} ({pid})"),
        (_, Some(pid), _) => format!(" of process {pid}"),
        (_, None, Some(path)) => format!(" pinned at {path}"),
        (_, None, None) => String::new(),
    };
    format!("the {kind} {name}{owner}{on}")
}

fn running(facts: &TaskFacts) -> Option<CheckFinding> {
    let busy: Vec<&PredictedBlocker> = of(facts, Obstacle::Running)
        .filter(|task| !task.kind.is_user() && facts.is_lasting(task))
        .collect();
    if busy.is_empty() {
        return None;
    }
    let names = listed(&names(&busy));
    let text = format!(
        "Kernel threads were on a CPU in every sample ({names}): they may switch late, or only \
         when they sleep."
    );
    Some(
        finding(&RULE, Severity::Warning, text, None)
            .with_evidence(evidence(&busy, facts, "on a CPU"))
            .with_remedy(vec!["Load the patch when they have less work.".to_owned()]),
    )
}

fn vcpus(facts: &TaskFacts) -> Option<CheckFinding> {
    let vcpus: Vec<&PredictedBlocker> = of(facts, Obstacle::KvmVcpu).collect();
    if vcpus.is_empty() {
        return None;
    }
    let names = listed(&names(&vcpus));
    let text = format!(
        "Threads run virtual machines ({names}): they switch when they leave the guest, at the \
         latest after the kernel's signal."
    );
    Some(
        finding(&RULE, Severity::Note, text, None).with_evidence(evidence(
            &vcpus,
            facts,
            "inside a virtual machine",
        )),
    )
}

fn tickless(facts: &TaskFacts) -> Option<CheckFinding> {
    let cpus = facts.nohz_full.as_deref()?;
    let text = format!(
        "CPUs {cpus} have no tick (nohz_full): a task that stays in user mode there switches only \
         at the kernel's signal."
    );
    Some(
        finding(&RULE, Severity::Note, text, None)
            .with_evidence(vec![format!("/sys/devices/system/cpu/nohz_full: {cpus}")]),
    )
}

fn of(facts: &TaskFacts, obstacle: Obstacle) -> impl Iterator<Item = &PredictedBlocker> {
    facts
        .tasks
        .iter()
        .filter(move |task| task.obstacle == obstacle)
}

fn evidence(tasks: &[&PredictedBlocker], facts: &TaskFacts, how: &str) -> Vec<String> {
    let lines = tasks.iter().map(|task| {
        let kind = task.kind.words();
        let (name, seen, looks) = (task.name(), task.seen, facts.looks);
        format!("{kind} {name}: {how} in {seen} of {looks} samples")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskKind;
    use crate::{
        check::{facts::CheckFacts, rules::samples},
        model::Culprit,
    };

    fn judged(facts: TaskFacts) -> Vec<CheckFinding> {
        let facts = CheckFacts {
            tasks: facts,
            ..CheckFacts::default()
        };
        judge(&samples::context(&samples::patch(&["f"]), &facts))
    }

    fn looked(tasks: Vec<PredictedBlocker>) -> TaskFacts {
        TaskFacts {
            looks: 5,
            total: 50,
            seconds: 5.0,
            tasks,
            ..TaskFacts::default()
        }
    }

    #[test]
    fn the_owner_of_a_foreign_program_is_named() {
        let mut task = samples::observed(9, Obstacle::UnreliableStack, 5);
        task.program = Some(Culprit {
            name: Some("foreign_exit".to_owned()),
            attached_to: Some("hrtimer_nanosleep".to_owned()),
            owner_pid: Some(77),
            owner_comm: Some("tracer".to_owned()),
            ..Culprit::default()
        });
        let found = judged(looked(vec![task]));
        assert_eq!(found[0].severity, Severity::Danger);
        let text = &found[0].text;
        assert!(
            text.contains("foreign_exit of tracer (77) on hrtimer_nanosleep"),
            "{text}"
        );
    }

    #[test]
    fn the_module_without_unwind_data_is_named() {
        let task = |tid, seen| PredictedBlocker {
            kind: TaskKind::Kthread,
            function: Some("blob_sleep".to_owned()),
            module: Some("blob".to_owned()),
            ..samples::observed(tid, Obstacle::NoUnwindData, seen)
        };
        let found = judged(looked(vec![task(9, 5), task(10, 2)]));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Danger));
        let text = &found[0].text;
        assert!(
            text.contains("code of blob") && text.contains("t9 (9) and t10 (10)"),
            "{text}"
        );
        assert!(found[0].evidence[0].contains("blob_sleep of blob"));
        let brief = judged(looked(vec![task(9, 2)]));
        assert_eq!(brief[0].severity, Severity::Warning);
    }

    #[test]
    fn busy_threads_are_worth_a_warning() {
        let mut task = samples::observed(9, Obstacle::Running, 5);
        assert!(
            judged(looked(vec![task.clone()])).is_empty(),
            "user tasks come and go"
        );
        task.kind = TaskKind::Kthread;
        assert_eq!(
            judged(looked(vec![task.clone()]))[0].severity,
            Severity::Warning
        );
        task.seen = 3;
        assert!(judged(looked(vec![task])).is_empty(), "now and then");
    }

    #[test]
    fn what_is_only_slow_is_a_note() {
        let mut facts = looked(vec![samples::observed(9, Obstacle::KvmVcpu, 5)]);
        facts.nohz_full = Some("2-7".to_owned());
        let found = judged(facts);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|found| found.severity == Severity::Note));
    }
}
