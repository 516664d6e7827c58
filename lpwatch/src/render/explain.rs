//! `lpwatch explain`: one task, why it has not switched, and how lpwatch knows.

#[cfg(test)]
mod tests;

use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::{outcome, stack, why, words};
use crate::model::task_report::TaskReport;
use crate::model::{
    Blocker, Cause, Direction, KernelAnswer, KernelCheck, Reason, in_main_function,
};
use crate::text;

/// The width of the labels.
const LABEL: usize = 9;

/// One task that has not switched.
#[must_use]
pub fn explain(blocker: &Blocker, report: &TaskReport, style: &Style) -> String {
    let mut page = Page::new(style);
    let (name, ids) = why::who(blocker, style);
    page.item(0, &[painted(Paint::Bold, name), plain(format!(" {ids}"))]);
    page.blank();
    field(&mut page, "Patch", &transition_line(blocker, report, style));
    if let Some(state) = blocker.state.and_then(state) {
        field(&mut page, "State", &state);
    }
    field(&mut page, "Why", &sentence(blocker, report, style));
    field(&mut page, "Kernel", &verdict(blocker, style));
    if let Some(mut culprit) = why::foreign(blocker, style) {
        if let Some(tag) = blocker
            .program
            .as_ref()
            .and_then(|program| program.tag.as_ref())
        {
            culprit = format!("{culprit}, tag {}", style.text(tag));
        }
        field(&mut page, "Culprit", &culprit);
    }
    page.blank();
    annotated_stack(&mut page, blocker, report);
    if let Some(advice) = &blocker.advice {
        page.blank();
        page.paragraph(0, &[painted(Paint::Bold, "What to do")]);
        let arrow = plain(format!("  {} ", style.arrow()));
        page.step(&[arrow], advice);
    }
    page.finish()
}

/// The message to a user who may not read whether a task is left.
#[must_use]
pub fn not_known(tid: u32, report: &TaskReport, style: &Style) -> String {
    format!(
        "it cannot be known whether task {tid} is among the tasks that {} has left: this user has \
         no permission to read the state of all tasks. Ask as root:\n    sudo lpwatch explain \
         {tid}\nIf a daemon runs, a member of its group may also ask.",
        style.text(&report.patch)
    )
}

/// The message to a user who may not read the names of all tasks left.
#[must_use]
pub fn names_not_known(name: &str, style: &Style) -> String {
    let name = style.text(name);
    format!(
        "it cannot be known whether a task named `{name}` is left: not all tasks could be read. Ask \
         as root:\n    sudo lpwatch tasks"
    )
}

/// The message about a name that none or several of the tasks left have.
#[must_use]
pub fn not_one(name: &str, tids: &[u32], report: Option<&TaskReport>, style: &Style) -> String {
    const SHOWN: usize = 20;
    let name = style.text(name);
    let Some(report) = report else {
        return format!("nothing is in transition, so no task named `{name}` blocks a patch");
    };
    let patch = style.text(&report.patch);
    let Some(first) = tids.first() else {
        return format!(
            "no task that {patch} has left has the name `{name}`. To list the tasks left:\n    \
             lpwatch tasks"
        );
    };
    let shown: Vec<String> = tids.iter().take(SHOWN).map(u32::to_string).collect();
    let more = match tids.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{} of the tasks that {patch} has left have the name `{name}`: {}{more}. To explain the \
         first:\n    lpwatch explain {first}",
        tids.len(),
        shown.join(", ")
    )
}

/// The message about a task that is not among those left. It is unknown whether the
/// task has switched, has ended or never existed, so the message claims none of it.
#[must_use]
pub fn not_left(tid: u32, report: Option<&TaskReport>, style: &Style) -> String {
    let Some(report) = report else {
        return format!("nothing is in transition, so task {tid} blocks no patch");
    };
    let patch = style.text(&report.patch);
    let known = report.blockers.len();
    let left = report
        .transition
        .tasks_remaining
        .map(|left| usize::try_from(left).unwrap_or(usize::MAX));
    let mut words = match left {
        Some(left) if left > known => format!(
            "task {tid} is not among the {known} known tasks of the {left} that {patch} has left"
        ),
        Some(_) => {
            format!(
                "task {tid} is not among the tasks that {patch} has left ({})",
                words::counted(known, "task").replace(text::NBSP, " ")
            )
        }
        None => format!(
            "task {tid} is not among the tasks that {patch} is known to have left; how many it \
             has left is unknown"
        ),
    };
    let threads: Vec<String> = report
        .blockers
        .iter()
        .filter(|blocker| blocker.tgid == tid && !blocker.kthread)
        .map(|blocker| blocker.tid.to_string())
        .take(5)
        .collect();
    if !threads.is_empty() {
        words = format!("{words}; its threads there are: {}", threads.join(", "));
    }
    let mut inside = report
        .blockers
        .iter()
        .filter(|blocker| blocker.ns_tid == Some(tid));
    if let (Some(one), None) = (inside.next(), inside.next()) {
        words = format!("{words}; in a container it is the id of task {}", one.tid);
    }
    format!("{words}. To list the tasks left:\n    lpwatch tasks")
}

fn field(page: &mut Page<'_>, label: &str, text: &str) {
    let label = painted(Paint::Dim, format!("{label:LABEL$}"));
    page.line(&[label], &[plain(text)]);
}

/// `lp_stall, patching for 2 min 10 s; this task has blocked it for 41 s`
fn transition_line(blocker: &Blocker, report: &TaskReport, style: &Style) -> String {
    let mut words = format!(
        "{}, {}",
        style.text(&report.patch),
        report.transition.direction.name()
    );
    if let Some(age) = report.transition.age_seconds.and_then(words::age) {
        words = format!("{words} for {age}");
    }
    if let Some(since) = blocker.since_seconds.and_then(words::age) {
        words = format!("{words}; this task has blocked it for {since}");
    }
    words
}

fn state(state: char) -> Option<String> {
    let words = match state {
        'R' => "running, or ready to",
        'S' => "asleep, interruptible",
        'D' => "asleep, uninterruptible",
        'I' => "idle kernel thread, waiting for work",
        'T' => "stopped",
        't' => "stopped by a debugger",
        'P' => "parked kernel thread",
        'Z' => "ended, not yet reaped",
        'X' => "ended",
        _ => return None,
    };
    Some(format!("{state}: {words}"))
}

/// Why it has not switched, in a sentence.
fn sentence(blocker: &Blocker, report: &TaskReport, style: &Style) -> String {
    let Some(reason) = blocker.reason else {
        return "It has not been inspected.".to_owned();
    };
    let patch = style.text(&report.patch);
    let function = blocker
        .function
        .as_deref()
        .map(|function| style.text(function));
    let role = match (&function, report.transition.direction) {
        (Some(function), Direction::Patching) => format!("{function}, which {patch} replaces"),
        (Some(function), Direction::Unpatching) => {
            format!("the {function} of {patch}, which is removed with the patch")
        }
        (None, Direction::Patching) => format!("a function that {patch} replaces"),
        (None, Direction::Unpatching) => format!("a function of {patch}"),
    };
    match reason {
        Reason::SleepingOnFunction | Reason::Uninterruptible if in_main_function(blocker) => {
            format!("It sleeps in {role}. That is its main function, which it never leaves.")
        }
        Reason::SleepingOnFunction => {
            format!("It sleeps in {role}. It switches once it has left that function.")
        }
        Reason::Uninterruptible if function.is_some() || blocker.blocking_frame.is_some() => {
            format!("It sleeps uninterruptibly in {role}. The kernel's signal does not reach it.")
        }
        Reason::Uninterruptible => {
            "It sleeps uninterruptibly. The kernel's signal does not reach it.".to_owned()
        }
        Reason::Running => "It was on a CPU each time the kernel checked it. The kernel checks \
             the stacks only of tasks that are off their CPU."
            .to_owned(),
        Reason::UnreliableStack => unreliable(blocker.cause).to_owned(),
        Reason::NoUnwindData => format!(
            "The stack ends in code of {}, for which the kernel has no unwind data. The kernel does not \
             know the rest of the stack.",
            why::code(blocker, style)
        ),
        Reason::WaitingForSignal => "No obstacle was found. It sleeps, and \
             switches when the kernel's signal takes it back to user space."
            .to_owned(),
        Reason::Idle => "It is an idle task. It switches when its CPU wakes.".to_owned(),
        Reason::KvmVcpu => "It runs a virtual CPU and stays inside the guest. It switches when \
             it leaves the guest for user space."
            .to_owned(),
        Reason::Pending => "No reason was found. The kernel tries again every second.".to_owned(),
    }
}

fn unreliable(cause: Option<Cause>) -> &'static str {
    match cause {
        Some(Cause::BpfTrampoline) => {
            "The kernel cannot see past a BPF program on its stack, so it does not know the rest \
             of the stack."
        }
        Some(Cause::Kretprobe) => {
            "The kernel cannot see past a kretprobe on its stack, so it does not know the rest of \
             the stack."
        }
        Some(Cause::Unknown) | None => {
            "The kernel does not know what is on its stack. Nothing on it shows why."
        }
    }
}

/// What the kernel answered when it checked the task, and how often it did.
fn verdict(blocker: &Blocker, style: &Style) -> String {
    let Some(KernelCheck {
        answer,
        function,
        tries,
        first_seconds,
        last_seconds,
        ..
    }) = &blocker.kernel_check
    else {
        return if blocker.reason.is_some() {
            "Its own answer is unknown. The reason is concluded from the task's stack and state."
                .to_owned()
        } else {
            "Its own answer is unknown.".to_owned()
        };
    };
    let answer = match answer {
        KernelAnswer::SleepingOnFunction => match function {
            Some(function) => format!("it sleeps on {}", style.text(function)),
            None => "it sleeps on a function of the patch".to_owned(),
        },
        KernelAnswer::Running => "it is running".to_owned(),
        KernelAnswer::UnreliableStack => "it has an unreliable stack".to_owned(),
    };
    let tries = outcome::tries(*tries);
    let ago = |seconds: f64| words::duration(seconds);
    match (ago(*first_seconds), ago(*last_seconds)) {
        (Some(first), Some(last)) => {
            format!("Reports that {answer} ({tries}, first {first} ago, last {last} ago).")
        }
        _ => format!("Reports that {answer} ({tries})."),
    }
}

fn annotated_stack(page: &mut Page<'_>, blocker: &Blocker, report: &TaskReport) {
    if blocker.stack.is_empty() {
        page.paragraph(0, &[plain("Its stack is unknown.")]);
        return;
    }
    let title: [Span; 2] = [
        painted(Paint::Bold, "Stack"),
        painted(Paint::Dim, " (innermost first)"),
    ];
    page.item(0, &title);
    let remark = stack::remark(
        blocker,
        &report.patch,
        report.transition.direction,
        page.style,
    );
    stack::frames(page, 2, blocker, remark.as_deref());
}
