//! Predicts which tasks would block the transition of a patch, with the classifier
//! of real transitions.

use super::{
    AwaitedChild, Culprit, Direction, PatchView, Reason, Task, TaskKind, TaskSample,
    check::Obstacle,
    classify::{ClassifyContext, classify},
    evidence::{Evidence, Frame, Traits, calls_main},
};

pub use super::classify::PatchCode;

/// A task that would block the transition.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedBlocker {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub kind: TaskKind,
    pub obstacle: Obstacle,
    /// The blocking function, if there is one.
    pub function: Option<String>,
    /// The module of that function; `None` for code of the kernel itself.
    pub module: Option<String>,
    /// The program that makes its stack unreliable.
    pub program: Option<Culprit>,
    /// The child that it waits for since a vfork(2).
    pub vfork_child: Option<AwaitedChild>,
    /// In how many looks this was so.
    pub seen: u32,
}

impl PredictedBlocker {
    /// The task as people name it: `kthreadd (2)`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} ({})", self.comm, self.tid)
    }
}

/// The patch and the state of the host it would be applied to.
#[derive(Clone, Copy, Debug)]
pub struct PredictionContext<'a> {
    /// The patch to be applied.
    pub patch: &'a PatchView,
    /// The loaded patches.
    pub loaded: &'a [PatchView],
    /// The code of the loaded patches whose files were read.
    pub code: &'a [PatchCode],
    pub traits: Traits,
}

/// The tasks of the sample that would not switch at once.
#[must_use]
pub fn predict_blockers(
    sample: &TaskSample,
    before: &PredictionContext<'_>,
) -> Vec<PredictedBlocker> {
    let PredictionContext {
        patch,
        loaded,
        code,
        traits,
    } = *before;
    let context = ClassifyContext {
        patch,
        all: loaded,
        code,
        direction: Direction::Patching,
        traits,
        signalled: false,
    };
    let tasks = sample.remaining.iter();
    tasks.filter_map(|task| predicted(task, &context)).collect()
}

fn predicted(task: &Task, context: &ClassifyContext<'_>) -> Option<PredictedBlocker> {
    let found = classify(task, context);
    let obstacle = match found.reason? {
        Reason::SleepingOnFunction => Obstacle::AsleepIn,
        Reason::Uninterruptible => Obstacle::Uninterruptible,
        Reason::UnreliableStack => Obstacle::UnreliableStack,
        Reason::NoUnwindData => Obstacle::NoUnwindData,
        Reason::Running => Obstacle::Running,
        Reason::KvmVcpu => Obstacle::KvmVcpu,
        // Nothing would block them.
        Reason::WaitingForSignal | Reason::Idle | Reason::Pending => return None,
    };
    let in_function = matches!(obstacle, Obstacle::AsleepIn | Obstacle::Uninterruptible);
    let is_main = in_function
        && !task.kind.is_user()
        && found.blocking_frame.is_some()
        && found.blocking_frame == main_frame(&task.evidence);
    let blocking = found.blocking_frame;
    let blocking = blocking.and_then(|index| task.evidence.stack.get(index));
    Some(PredictedBlocker {
        module: blocking.and_then(|frame| frame.module.clone()),
        tid: task.tid,
        tgid: task.tgid,
        comm: task.comm.clone(),
        kind: task.kind,
        obstacle: if is_main {
            Obstacle::MainFunction
        } else {
            obstacle
        },
        function: found.function,
        program: found.program,
        vfork_child: task.evidence.vfork_child.clone(),
        seen: 1,
    })
}

/// The frame of the main function on the stack of a kernel thread or a user worker.
fn main_frame(evidence: &Evidence) -> Option<usize> {
    let is_caller = |frame: &Frame| frame.module.is_none() && calls_main(&frame.symbol);
    let stack = &evidence.stack;
    stack.iter().position(is_caller)?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{EngineKind, ObjectView, calls::FunctionId};

    fn frame(symbol: &str, module: Option<&str>) -> Frame {
        Frame {
            symbol: symbol.to_owned(),
            offset: 0x10,
            module: module.map(str::to_owned),
        }
    }

    fn task(tid: u32, kthread: bool, stack: &[&str]) -> Task {
        Task {
            tid,
            tgid: tid,
            comm: format!("task{tid}"),
            kind: if kthread {
                TaskKind::Kthread
            } else {
                TaskKind::User
            },
            evidence: Evidence {
                looked: true,
                state: Some('S'),
                on_cpu: Some(false),
                stack: stack.iter().map(|symbol| frame(symbol, None)).collect(),
                ..Evidence::default()
            },
        }
    }

    fn predictions(tasks: Vec<Task>, reliable: bool) -> Vec<(u32, Obstacle)> {
        let patch = PatchView {
            enabled: Some(false),
            objects: vec![ObjectView {
                name: "vmlinux".to_owned(),
                patched: None,
                functions: vec![("worker".to_owned(), 1), ("__do_sys_pause".to_owned(), 1)],
            }],
            ..PatchView::new("fix".to_owned(), EngineKind::Livepatch)
        };
        let sample = TaskSample {
            at: Duration::ZERO,
            direction: Direction::Patching,
            total: Some(9),
            remaining: tasks,
            unread: 0,
            switched: None,
        };
        let traits = Traits {
            bpf_frames_reliable: reliable,
            verdicts: false,
            is_x86: true,
        };
        let before = PredictionContext {
            patch: &patch,
            loaded: &[],
            code: &[],
            traits,
        };
        let found = predict_blockers(&sample, &before);
        found.iter().map(|task| (task.tid, task.obstacle)).collect()
    }

    #[test]
    fn a_threads_main_function_is_distinguished_from_what_it_calls() {
        let tasks = vec![
            task(1, true, &["schedule", "worker", "kthread", "ret_from_fork"]),
            task(
                2,
                true,
                &["schedule", "worker", "other", "kthread", "ret_from_fork"],
            ),
            task(3, true, &["schedule", "other", "kthread", "ret_from_fork"]),
            task(4, false, &["schedule", "__x64_sys_pause", "do_syscall_64"]),
        ];
        let expected = [
            (1, Obstacle::MainFunction),
            (2, Obstacle::AsleepIn),
            (4, Obstacle::AsleepIn),
        ];
        assert_eq!(predictions(tasks, true), expected);
    }

    /// Asleep in this code of the loaded patch `older`, which patches `f` and
    /// `g`: what blocks a patch of `f` alone.
    fn on_top_of(symbol: &str, code: &[PatchCode], replace: bool) -> Option<String> {
        let patch = |name: &str, functions: &[&str]| PatchView {
            enabled: Some(true),
            replace: Some(replace),
            objects: vec![ObjectView {
                name: "vmlinux".to_owned(),
                patched: None,
                functions: functions.iter().map(|f| ((*f).to_owned(), 1)).collect(),
            }],
            ..PatchView::new(name.to_owned(), EngineKind::Livepatch)
        };
        let mut sleeper = task(1, false, &["schedule"]);
        sleeper.evidence.stack.push(frame(symbol, Some("older")));
        let sample = TaskSample {
            at: Duration::ZERO,
            direction: Direction::Patching,
            total: Some(1),
            remaining: vec![sleeper],
            unread: 0,
            switched: None,
        };
        let before = PredictionContext {
            patch: &patch("fix", &["f"]),
            loaded: &[patch("older", &["f", "g"])],
            code,
            traits: Traits {
                bpf_frames_reliable: true,
                verdicts: false,
                is_x86: false,
            },
        };
        predict_blockers(&sample, &before).pop()?.function
    }

    #[test]
    fn of_a_patch_below_only_the_replaced_functions_block() {
        let function = |name: &str| FunctionId::new("vmlinux", name, 1);
        let code = [PatchCode {
            patch: "older".to_owned(),
            functions: vec![
                (function("f"), "new_f".to_owned()),
                (function("g"), "new_g".to_owned()),
            ],
        }];
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(on_top_of("new_f", &code, false), is("f"));
        assert_eq!(on_top_of("new_g", &code, false), None);
        assert_eq!(on_top_of("helper", &code, false), None);
        // A patch that replaces all removes the other.
        assert_eq!(on_top_of("new_g", &code, true), is("g"));
        assert_eq!(on_top_of("helper", &code, true), None);
        // Without its file, all of its code may be running.
        assert_eq!(on_top_of("new_g", &[], false), is("new_g"));
    }

    #[test]
    fn a_stack_that_ends_in_a_module_is_foretold() {
        let mut sleeper = task(1, true, &["msleep_interruptible"]);
        sleeper
            .evidence
            .stack
            .push(frame("vendor_sleep", Some("vendor")));
        let mut complete = sleeper.clone();
        complete.tid = 2;
        for symbol in ["kthread", "ret_from_fork", "ret_from_fork_asm"] {
            complete.evidence.stack.push(frame(symbol, None));
        }
        let found = predictions(vec![sleeper, complete], false);
        assert_eq!(found, [(1, Obstacle::NoUnwindData)]);
    }

    #[test]
    fn foreign_frames_count_if_the_unwinder_does_not_know_them() {
        let mut sleeper = task(1, false, &["schedule"]);
        sleeper
            .evidence
            .stack
            .push(frame("bpf_trampoline_6442", Some("bpf")));
        let tasks = vec![sleeper];
        assert_eq!(
            predictions(tasks.clone(), false),
            [(1, Obstacle::UnreliableStack)]
        );
        assert_eq!(predictions(tasks, true), []);
    }
}
