//! Tasks that are in one of the functions to be patched.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::{
        CheckContext,
        facts::tasks::{PredictedBlocker, TaskFacts, names},
    },
    model::{
        TaskKind,
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
stack. The kernel checks each task's stack once a second. The kernel's signal after 15 seconds wakes \
a user task that sleeps in such a function, and the task leaves the function. The program notices the \
signal only because a blocking system call may return early or with EINTR, which some programs do not \
expect.

A *user worker* (a thread of io_uring or vhost) never returns to user space. The signal wakes it; it \
leaves the function, and the request that it works on fails: with EINTR on 6.1 and 6.12, with -512 \
(ERESTARTSYS) on 5.10.223 and 7.2.13. Asleep in its own main function it never leaves: end the process that owns it.

Kernel threads get no signal. The kernel only wakes a thread that sleeps in the function, and it \
sleeps again if it has no work. A thread whose *main* function is to be patched never leaves it: the \
transition stalls until it is reversed. A task in uninterruptible sleep (state D) leaves only when its \
wait ends.

lpwatch samples the stacks of all tasks several times (--sample). A task found in every sample is \
likely to be there when the patch is loaded.",
    sources: &[
        "kernel/livepatch/transition.c, klp_check_stack and klp_send_signals (5.10 to 7.3)",
        "Documentation/livepatch/livepatch.rst, Consistency model",
        "kernel/kthread.c, kthread()",
    ],
    judge,
};

/// How the tasks of a group are in the function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SleeperKind {
    Main,
    /// The main function of user workers.
    WorkerMain,
    Kthread,
    /// Work items of workqueues.
    Kworker,
    Uninterruptible,
    Worker,
    User,
    /// Not in every sample.
    NowAndThen,
}

impl SleeperKind {
    fn of(task: &PredictedBlocker, facts: &TaskFacts) -> Option<Self> {
        let lasting = facts.is_lasting(task);
        match task.obstacle {
            Obstacle::MainFunction if task.kind == TaskKind::UserWorker => Some(Self::WorkerMain),
            Obstacle::MainFunction => Some(Self::Main),
            Obstacle::AsleepIn | Obstacle::Uninterruptible if !lasting => Some(Self::NowAndThen),
            Obstacle::Uninterruptible => Some(Self::Uninterruptible),
            Obstacle::AsleepIn if task.kind == TaskKind::Kworker => Some(Self::Kworker),
            Obstacle::AsleepIn if task.kind.is_kernel() => Some(Self::Kthread),
            Obstacle::AsleepIn if task.kind == TaskKind::UserWorker => Some(Self::Worker),
            Obstacle::AsleepIn => Some(Self::User),
            Obstacle::UnreliableStack
            | Obstacle::NoUnwindData
            | Obstacle::Running
            | Obstacle::KvmVcpu => None,
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Main | Self::WorkerMain | Self::Kthread | Self::Kworker => Severity::Danger,
            Self::Uninterruptible | Self::Worker | Self::User => Severity::Warning,
            Self::NowAndThen => Severity::Note,
        }
    }
}

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    if context.is_loaded {
        return Vec::new();
    }
    let facts = &context.facts.tasks;
    let mut groups: BTreeMap<(SleeperKind, &str), Vec<&PredictedBlocker>> = BTreeMap::new();
    for task in &facts.tasks {
        if let Some(kind) = SleeperKind::of(task, facts) {
            let function = task.function.as_deref().unwrap_or("a function");
            groups.entry((kind, function)).or_default().push(task);
        }
    }
    let found = groups.iter();
    let mut findings: Vec<CheckFinding> = found
        .map(|((kind, function), tasks)| group(*kind, function, tasks, facts))
        .collect();
    findings.extend((facts.unread > 0).then(not_inspected));
    findings
}

fn not_inspected() -> CheckFinding {
    let text =
        "Tasks could not be inspected: it is unknown whether they would block the transition.";
    CheckFinding {
        remedy: vec!["Run lpwatch as root, which may read the stack of every task.".to_owned()],
        ..finding(&RULE, Severity::Warning, text, None)
    }
}

fn group(
    kind: SleeperKind,
    function: &str,
    tasks: &[&PredictedBlocker],
    facts: &TaskFacts,
) -> CheckFinding {
    let names = listed(&names(tasks));
    let looks = format!("{} samples over {:.0} s", facts.looks, facts.seconds);
    let (text, remedy) = match kind {
        SleeperKind::Main => (
            format!(
                "{function} is the main function of kernel threads ({names}), which never leave \
                 it: the transition would stall."
            ),
            vec![stop_threads(tasks)],
        ),
        SleeperKind::WorkerMain => (
            format!(
                "{function} is the main function of user workers ({names}), which never leave it: \
                 the transition would stall."
            ),
            vec![format!(
                "Remove that function from the patch, or end the processes that own these workers \
                 first ({}).",
                listed(&owners(tasks))
            )],
        ),
        SleeperKind::Worker => (
            format!(
                "User workers sleep in {function} ({names}): the kernel's signal after 15 s wakes \
                 them, and each request that they work on then fails."
            ),
            vec![format!(
                "The requests of these processes fail with EINTR, on 5.10 and 7.x with error 512 \
                 (ERESTARTSYS), which programs do not know: {}. Stop them first if they cannot \
                 handle that.",
                listed(&owners(tasks))
            )],
        ),
        SleeperKind::Kthread => (
            format!(
                "Kernel threads always sleep in {function} ({names}), and they get no signal: the \
                 transition would stall."
            ),
            vec!["Give them work while the patch is being enabled, or stop them.".to_owned()],
        ),
        SleeperKind::Kworker => (
            format!(
                "Work items of workqueues stay in {function} ({names}): the transition would stall \
                 until that work ends."
            ),
            vec![
                "Find out what the work waits for; the workqueue follows the + in a worker's name. \
                 The workers belong to the kernel and cannot be stopped."
                    .to_owned(),
            ],
        ),
        SleeperKind::Uninterruptible => (
            format!(
                "Tasks are in uninterruptible sleep in {function} ({names}): they switch only when \
                 their wait ends."
            ),
            vec![
                "Before loading the patch, find out what they wait for: cat /proc/TID/stack"
                    .to_owned(),
            ],
        ),
        SleeperKind::User => (
            format!(
                "Tasks sleep in {function} ({names}): they would switch at the kernel's signal \
                 after 15 s."
            ),
            vec![
                "If one of these programs cannot handle an early return of its system call, stop \
                 it first."
                    .to_owned(),
            ],
        ),
        SleeperKind::NowAndThen => (
            format!("Tasks are sometimes in {function} ({names}): they switch in between."),
            Vec::new(),
        ),
    };
    let evidence = tasks.iter().map(|task| {
        let kind = task.kind.words();
        let child = task.vfork_child.as_ref().map_or_else(String::new, |child| {
            format!(", waits for its vfork child {} ({})", child.comm, child.pid)
        });
        format!(
            "{kind} {}: in {function} in {} of {looks}{child}",
            task.name(),
            task.seen
        )
    });
    finding(&RULE, kind.severity(), text, None)
        .with_evidence(evidence.collect())
        .with_remedy(remedy)
}

/// How to make room for a patch of these threads' main function.
fn stop_threads(tasks: &[&PredictedBlocker]) -> String {
    let modules: BTreeSet<&str> = tasks
        .iter()
        .filter_map(|task| task.module.as_deref())
        .collect();
    match modules.into_iter().collect::<Vec<_>>()[..] {
        [] => "Remove that function from the patch: these threads belong to the kernel itself and \
               do not end."
            .to_owned(),
        [module] => format!(
            "Remove that function from the patch, or stop these threads first: unload {module}."
        ),
        [..] => "Remove that function from the patch, or stop these threads first: unload the \
                 modules that started them."
            .to_owned(),
    }
}

/// The processes that the tasks work for.
fn owners(tasks: &[&PredictedBlocker]) -> Vec<String> {
    let mut owners: Vec<u32> = tasks.iter().map(|task| task.tgid).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.iter().map(|tgid| format!("pid {tgid}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::CheckFacts, rules::samples};

    fn judged(tasks: Vec<PredictedBlocker>, looks: u32) -> Vec<(Severity, String)> {
        let facts = CheckFacts {
            tasks: TaskFacts {
                looks,
                total: 50,
                seconds: 5.0,
                tasks,
                ..TaskFacts::default()
            },
            ..CheckFacts::default()
        };
        let found = judge(&samples::context(&samples::patch(&["f"]), &facts));
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
    fn only_a_modules_thread_can_be_stopped() {
        let of = |module: Option<&str>| PredictedBlocker {
            module: module.map(str::to_owned),
            ..samples::observed(7, Obstacle::MainFunction, 5)
        };
        assert!(stop_threads(&[&of(None)]).contains("do not end"));
        let advice = stop_threads(&[&of(Some("nfsd")), &of(Some("nfsd"))]);
        assert!(advice.ends_with("unload nfsd."), "{advice}");
        let advice = stop_threads(&[&of(Some("nfsd")), &of(Some("lockd"))]);
        assert!(advice.contains("unload the modules"), "{advice}");
    }

    #[test]
    fn who_sleeps_there_decides() {
        let mut kthread = samples::observed(1, Obstacle::AsleepIn, 5);
        kthread.kind = TaskKind::Kthread;
        assert_eq!(judged(vec![kthread], 5)[0].0, Severity::Danger);
        let mut worker = samples::observed(4, Obstacle::AsleepIn, 5);
        worker.kind = TaskKind::UserWorker;
        let found = judged(vec![worker.clone()], 5);
        assert_eq!(found[0].0, Severity::Warning);
        assert!(found[0].1.contains("request"), "{}", found[0].1);
        worker.obstacle = Obstacle::MainFunction;
        assert_eq!(judged(vec![worker], 5)[0].0, Severity::Danger);
        let mut kworker = samples::observed(5, Obstacle::AsleepIn, 5);
        kworker.kind = TaskKind::Kworker;
        let found = judged(vec![kworker], 5);
        assert_eq!(found[0].0, Severity::Danger);
        assert!(found[0].1.contains("Work items"), "{}", found[0].1);
        let user = samples::observed(2, Obstacle::AsleepIn, 5);
        assert_eq!(judged(vec![user.clone()], 5)[0].0, Severity::Warning);
        assert_eq!(judged(vec![user], 9)[0].0, Severity::Note, "now and then");
        let stuck = samples::observed(3, Obstacle::Uninterruptible, 5);
        assert_eq!(judged(vec![stuck], 5)[0].0, Severity::Warning);
    }
}
