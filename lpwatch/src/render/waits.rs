//! What a transition waits for if it is no task.

use super::page::{Page, Paint, painted, plain};
use super::style::Style;
use super::{stack, why, words};
use crate::model::snapshot::Transition;
use crate::model::task_report::TaskReport;
use crate::model::{Blocker, CpuHolder, TransitionHold, WaitReason};

/// The tasks that are left, and what it waits for instead of them.
pub(super) fn paragraph(
    page: &mut Page<'_>,
    indent: usize,
    left: Option<u32>,
    wait: &TransitionHold,
) {
    let sentence = format!("{} {}", switching(left, wait), sentence(wait, page.style));
    page.paragraph(indent, &[plain(sentence)]);
}

/// The same where nothing was found, or nothing is to be said.
pub(super) fn of_transition(page: &mut Page<'_>, transition: &Transition) -> bool {
    let left = transition.tasks_remaining;
    match &transition.waits_for {
        Some(wait) => paragraph(page, 2, left, wait),
        None if left == Some(0) && transition.blockers.is_empty() => {
            page.paragraph(
                2,
                &[plain(
                    "Every task has switched. The kernel has not finished yet.",
                )],
            );
        }
        None => return false,
    }
    true
}

fn switching(left: Option<u32>, wait: &TransitionHold) -> &'static str {
    if wait.is_before_switching() {
        "No task can switch yet."
    } else if left == Some(0) {
        "Every task has switched."
    } else {
        "The kernel does not check the tasks meanwhile."
    }
}

/// `The post_patch callback of lp (lp_post) has run for 79 s in insmod (pid 164).`
pub(crate) fn sentence(wait: &TransitionHold, style: &Style) -> String {
    let function = wait
        .function
        .as_deref()
        .map(|function| style.text(function));
    let task = task(wait, style);
    let since = wait.since_seconds.and_then(words::age);
    match wait.reason {
        WaitReason::Callback => {
            let callback = wait.callback.map_or_else(
                || "A callback".to_owned(),
                |callback| format!("The {} callback", callback.name()),
            );
            let module = wait.module.as_deref().map(|module| style.text(module));
            let of = module.map_or_else(
                || " of the patch".to_owned(),
                |module| format!(" of {module}"),
            );
            let named = function.map_or_else(String::new, |function| format!(" ({function})"));
            let runs =
                since.map_or_else(|| "runs".to_owned(), |since| format!("has run for {since}"));
            format!("{callback}{of}{named} {runs}{task}.")
        }
        WaitReason::CpuHeld => {
            let held = wait.holder.as_ref().map_or_else(
                || "A task keeps a CPU for itself".to_owned(),
                |holder| keeps(holder, style),
            );
            match function {
                Some(function) => {
                    format!("{held}: the kernel does not return from {function}{task}.")
                }
                None => format!("{held}: the kernel's own work on it does not run."),
            }
        }
        WaitReason::Kernel => match function {
            Some(function) => format!("The kernel does not return from {function}{task}."),
            None => format!("The kernel itself works{task}."),
        },
    }
}

/// `hog (pid 201, SCHED_FIFO, priority 90) keeps CPU 1 for itself`
fn keeps(holder: &CpuHolder, style: &Style) -> String {
    let CpuHolder {
        cpu,
        tid,
        tgid,
        kthread,
        ..
    } = holder;
    let name = words::no_break(&style.text(&holder.comm));
    let id = if *kthread {
        format!("kernel thread {tid}")
    } else if tid == tgid {
        format!("pid {tid}")
    } else {
        format!("tid {tid} of {tgid}")
    };
    let priority = holder
        .priority
        .map_or_else(String::new, |priority| format!(", priority {priority}"));
    let policy = holder.policy.name();
    format!("{name} ({id}, {policy}{priority}) keeps CPU {cpu} for itself")
}

/// ` in insmod (pid 164)`
fn task(wait: &TransitionHold, style: &Style) -> String {
    as_blocker(wait).map_or_else(String::new, |blocker| {
        let (name, ids) = why::who(&blocker, style);
        format!(" in {name} {ids}")
    })
}

/// The stack of the task in livepatch's code.
pub(super) fn frames(page: &mut Page<'_>, indent: usize, wait: &TransitionHold) {
    let Some(blocker) = as_blocker(wait).filter(|blocker| !blocker.stack.is_empty()) else {
        return;
    };
    let remark = match (wait.reason, wait.callback) {
        (WaitReason::Callback, Some(callback)) => format!("the {} callback", callback.name()),
        (WaitReason::Callback, None) => "a callback".to_owned(),
        (WaitReason::CpuHeld | WaitReason::Kernel, _) => "the kernel's own work".to_owned(),
    };
    stack::frames(page, indent, &blocker, Some(&remark));
}

/// What `lpwatch explain` shows of the task that runs the callback, or that holds a
/// CPU.
#[must_use]
pub fn explain(wait: &TransitionHold, report: &TaskReport, style: &Style) -> String {
    let mut page = Page::new(style);
    let patch = style.text(&report.patch);
    let heading = format!("{patch}, {}", report.transition.direction.name());
    page.item(0, &[painted(Paint::Bold, heading)]);
    page.blank();
    paragraph(&mut page, 0, report.transition.tasks_remaining, wait);
    if !wait.stack.is_empty() {
        page.blank();
        let title = [
            painted(Paint::Bold, "Stack"),
            painted(Paint::Dim, " (innermost first)"),
        ];
        page.item(0, &title);
        frames(&mut page, 2, wait);
    }
    // The step that names this command says nothing new here.
    let own = wait.tid.map(|tid| format!("lpwatch explain {tid}"));
    let is_own = |step: &&String| own.as_ref().is_some_and(|own| step.ends_with(own.as_str()));
    let steps: Vec<&String> = report.next.iter().filter(|step| !is_own(step)).collect();
    if !steps.is_empty() {
        page.blank();
        page.paragraph(0, &[painted(Paint::Bold, "What to do")]);
    }
    for step in steps {
        let arrow = plain(format!("  {} ", style.arrow()));
        page.step(&[arrow], step);
    }
    page.finish()
}

/// The task in livepatch's code, as a task left is shown.
fn as_blocker(wait: &TransitionHold) -> Option<Blocker> {
    Some(Blocker {
        tid: wait.tid?,
        tgid: wait.tgid?,
        comm: wait.comm.clone()?,
        kthread: wait.kind.is_some_and(crate::model::TaskKind::is_kernel),
        kind: wait.kind,
        ns_tid: None,
        ns_tgid: None,
        state: wait.state,
        kernel_check: None,
        reason: None,
        cause: None,
        function: wait.function.clone(),
        program: None,
        vfork_child: None,
        since_seconds: wait.since_seconds,
        stack: wait.stack.clone(),
        blocking_frame: wait.frame,
        advice: None,
    })
}
