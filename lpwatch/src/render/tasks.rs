//! `lpwatch tasks`: the tasks left, by reason, worst first.

mod groups;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::{outcome, stack, waits, why, words};
use crate::model::snapshot::{Snapshot, SwitchedBy};
use crate::model::task_report::{BlockerRank, TaskReport};
use crate::model::{Blocker, Reason};
use crate::text;

/// How many lines are shown for each reason, without `--all`.
const SHOWN: usize = 20;
/// How many different thread names are shown.
const NAMES_SHOWN: usize = 3;

/// What the table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TasksOptions {
    /// The stacks.
    pub stack: bool,
    /// All tasks, however many.
    pub all: bool,
}

/// The tasks left by one transition.
#[must_use]
pub fn tasks(report: &TaskReport, style: &Style, options: TasksOptions) -> String {
    let mut page = Page::new(style);
    headline(&mut page, report);
    if let Some(wait) = &report.waits_for {
        page.blank();
        waits::paragraph(&mut page, 0, report.transition.tasks_remaining, wait);
        if options.stack {
            waits::frames(&mut page, 2, wait);
        }
    }
    let mut rest = report.blockers.as_slice();
    while let Some(first) = rest.first() {
        let severity = BlockerRank::of(first);
        let end = rest
            .iter()
            .position(|blocker| BlockerRank::of(blocker) != severity)
            .unwrap_or(rest.len());
        let (section, after) = rest.split_at(end);
        rest = after;
        reason(&mut page, severity, section, options);
    }
    if report.blockers.is_empty()
        && report.transition.tasks_remaining != Some(0)
        && report.waits_for.is_none()
    {
        page.blank();
        page.paragraph(0, &[plain(unknown(report.transition.tasks_remaining))]);
    }
    transition_steps(&mut page, report);
    page.finish()
}

/// That no task left is known.
fn unknown(remaining: Option<u32>) -> &'static str {
    match remaining {
        Some(_) => "It is unknown which tasks these are.",
        None => "It is unknown how many tasks are left, and which.",
    }
}

/// The message where nothing is in transition: of `patch`, if one is given, also how
/// its last transition ended.
#[must_use]
pub fn nothing(patch: Option<&str>, snapshot: &Snapshot, style: &Style) -> String {
    let mut page = Page::new(style);
    let mut words = match patch {
        Some(patch) if snapshot.patch(patch).is_none() => {
            format!("{} is not loaded.", style.text(patch))
        }
        Some(patch) => format!("{} is not in transition.", style.text(patch)),
        None => "Nothing is in transition.".to_owned(),
    };
    let past = patch.and_then(|patch| snapshot.last_transition(patch));
    if let Some(past) = past {
        words = format!("{words} {}.", outcome::last(past));
    }
    page.paragraph(0, &[plain(words)]);
    let notes = &snapshot.notes;
    remarks(&mut page, notes);
    page.finish()
}

/// `lp_stall  stalled, patching for 2 min 10 s: 17 of 412 tasks left`
fn headline(page: &mut Page<'_>, report: &TaskReport) {
    let style = page.style;
    let name = text::truncate(
        &style.text(&report.patch),
        style.width / 2,
        style.ellipsis(),
    );
    let mut body = Vec::new();
    if let Some(phase) = report.transition.phase {
        let (word, paint) = words::phase(phase);
        body.extend([painted(paint, word), plain(", ")]);
    }
    body.push(plain(report.transition.direction.name()));
    if let Some(age) = report.transition.age_seconds.and_then(words::age) {
        body.push(plain(format!(" for {age}")));
    }
    if let Some(left) = report.transition.tasks_remaining {
        let left = match report.transition.tasks_total {
            Some(total) => format!("{left} of {} left", words::counted(total, "task")),
            None => format!("{} left", words::counted(left, "task")),
        };
        body.push(plain(format!(": {}", words::no_break(&left))));
    }
    page.headline(&[painted(Paint::Bold, name), plain("  ")], &body);
    if let Some(switched) = report.switched.and_then(switched) {
        page.paragraph(2, &[plain(switched)]);
    }
}

/// How the other tasks have switched.
fn switched(by: SwitchedBy) -> Option<String> {
    let ways = [
        (by.checked, "after the kernel's check"),
        (by.user_return, "on return to user space"),
        (by.idle, "as idle tasks"),
        (by.forced, "by force"),
    ];
    let parts: Vec<String> = ways
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, way)| format!("{count}{}{way}", text::NBSP))
        .collect();
    (!parts.is_empty()).then(|| format!("Switched: {}.", parts.join(", ")))
}

/// The tasks left for one reason.
fn reason(page: &mut Page<'_>, severity: BlockerRank, section: &[Blocker], options: TasksOptions) {
    page.blank();
    let heading = painted(Paint::Bold, heading(severity));
    let count = painted(Paint::Dim, format!(" ({})", section.len()));
    page.item(0, &[heading, count]);
    let mut shown = 0;
    let mut tasks = 0;
    for advised in groups::by_advice(section, options) {
        if shown == SHOWN && !options.all {
            break;
        }
        for group in &advised.groups {
            if shown == SHOWN && !options.all {
                break;
            }
            shown += 1;
            tasks += group.len();
            line(page, group);
            if let Some(first) = group.first().filter(|_| options.stack) {
                stack::frames(page, 6, first, None);
            }
        }
        if let Some(advice) = advised.advice {
            let arrow = plain(format!("  {} ", page.style.arrow()));
            page.step(&[arrow], advice);
        }
    }
    let more = section.len() - tasks;
    if more > 0 {
        let words = format!(
            "{} and {more} more:\nlpwatch tasks --all",
            page.style.ellipsis()
        );
        page.step(&[plain("  ")], &words);
    }
}

fn heading(severity: BlockerRank) -> &'static str {
    match severity {
        BlockerRank::SleepingKthread => "Kernel threads asleep in a function of the patch",
        BlockerRank::NoUnwindData => {
            "In code without unwind data: the kernel cannot prove what is on the stack"
        }
        BlockerRank::UnreliableStack => "Stack unreliable: the kernel cannot prove what is on it",
        BlockerRank::Uninterruptible => {
            "Uninterruptible (D state): the kernel's signal does not reach them"
        }
        BlockerRank::KvmVcpu => "Virtual CPUs inside their guests",
        BlockerRank::Running => "Running each time the kernel checked",
        BlockerRank::SleepingUser => "Asleep in a function of the patch",
        BlockerRank::WaitingForSignal => "Waiting for the kernel's signal",
        BlockerRank::Idle => "Idle tasks",
        BlockerRank::Pending => "No reason found so far",
        BlockerRank::Unknown => "Not inspected",
    }
}

/// `qemu (pid 812): 14 threads, asleep in kvm_vcpu_block, for 2 min, 120 tries`
fn line(page: &mut Page<'_>, group: &[&Blocker]) {
    let Some(first) = group.first() else { return };
    let style = page.style;
    let (name, ids, mut parts) = match group {
        [one] => {
            let (name, ids) = why::who(one, style);
            (name, ids, Vec::new())
        }
        _ => process(group, style),
    };
    parts.extend(detail(first, style));
    let since = group
        .iter()
        .filter_map(|task| task.since_seconds)
        .max_by(f64::total_cmp);
    if let Some(age) = since.and_then(words::age) {
        parts.push(format!("for {age}"));
    }
    let tries = group.iter().filter_map(|task| tries_of(task)).max();
    parts.extend(tries.map(outcome::tries));
    let mut spans: Vec<Span> = vec![painted(Paint::Bold, name), plain(format!(" {ids}"))];
    if !parts.is_empty() {
        spans.push(plain(format!(": {}", parts.join(", "))));
    }
    page.item(2, &spans);
}

/// How often the kernel has checked a task, if that was counted all the time that it
/// has blocked the transition.
fn tries_of(task: &Blocker) -> Option<u32> {
    /// The kernel checks all tasks once a second.
    const BETWEEN: f64 = 2.5;
    let check = task.kernel_check.as_ref()?;
    let is_whole = task
        .since_seconds
        .is_none_or(|since| since <= check.first_seconds + BETWEEN);
    is_whole.then_some(check.tries)
}

/// Several threads of one process. The name is that of the first thread, if it is
/// among them; otherwise their common name, if they have one.
fn process(group: &[&Blocker], style: &Style) -> (String, String, Vec<String>) {
    let threads = words::counted(group.len(), "thread");
    let mut names: Vec<String> = Vec::new();
    for task in group {
        let name = why::name(task, style);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let tgid = group.first().map_or(0, |task| task.tgid);
    let inside = group.iter().find_map(|task| task.ns_tgid);
    let inside = inside
        .map(|id| format!(", {id} in its container"))
        .unwrap_or_default();
    let ids = words::no_break(&format!("(pid {tgid}{inside})"));
    let leader = group.iter().find(|task| task.tid == task.tgid);
    match (leader, names.as_slice()) {
        (Some(leader), _) => (why::name(leader, style), ids, vec![threads]),
        (None, [only]) => (only.clone(), ids, vec![threads]),
        (None, _) => {
            if names.len() > NAMES_SHOWN {
                names.truncate(NAMES_SHOWN);
                names.push(style.ellipsis().to_owned());
            }
            let detail = format!("{threads} ({})", names.join(", "));
            ("process".to_owned(), ids, vec![detail])
        }
    }
}

/// What the heading does not say.
fn detail(blocker: &Blocker, style: &Style) -> Option<String> {
    match blocker.reason? {
        Reason::SleepingOnFunction => why::why(blocker, style),
        Reason::UnreliableStack => why::foreign(blocker, style),
        Reason::NoUnwindData => Some(format!("in {}", why::code(blocker, style))),
        Reason::Uninterruptible | Reason::Running => {
            let function = blocker.function.as_deref()?;
            Some(format!("in {}", style.text(function)))
        }
        Reason::WaitingForSignal | Reason::Idle | Reason::KvmVcpu | Reason::Pending => None,
    }
}

/// What concerns the transition as a whole, and the notes.
fn transition_steps(page: &mut Page<'_>, report: &TaskReport) {
    if !report.next.is_empty() {
        page.blank();
        page.paragraph(0, &[painted(Paint::Bold, "The transition as a whole")]);
        for step in &report.next {
            let arrow = plain(format!("  {} ", page.style.arrow()));
            page.step(&[arrow], step);
        }
    }
    remarks(page, &report.notes);
}

fn remarks(page: &mut Page<'_>, notes: &[String]) {
    for (nth, note) in notes.iter().enumerate() {
        if nth == 0 {
            page.blank();
        }
        let mark = painted(Paint::Yellow, "Note: ");
        page.line(&[mark], &[plain(page.style.text(note))]);
    }
}
