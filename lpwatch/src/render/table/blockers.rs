//! The tasks left, in columns; on a narrow terminal a sentence each.

use super::padded;
use crate::model::snapshot::Transition;
use crate::model::{Blocker, Cause, Culprit, Reason};
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::style::Style;
use crate::render::{text, words};

/// How many tasks are shown.
const SHOWN: usize = 10;
/// From this width on there are columns.
const COLUMNS_FROM: usize = 60;

pub(super) fn table(page: &mut Page<'_>, transition: &Transition) {
    let blockers = &transition.blockers;
    let left = transition
        .tasks_remaining
        .and_then(|left| usize::try_from(left).ok())
        .unwrap_or(0);
    if blockers.is_empty() {
        if left > 0 {
            page.paragraph(2, &[plain("Which tasks these are is not known.")]);
        }
        return;
    }
    page.blank();
    let shown = &blockers[..blockers.len().min(SHOWN)];
    let rows: Vec<Row> = shown
        .iter()
        .map(|blocker| Row::new(blocker, page.style))
        .collect();
    if page.style.width < COLUMNS_FROM {
        sentences(page, &rows);
    } else {
        columns(page, &rows);
    }
    let more = blockers.len().max(left) - shown.len();
    if more > 0 {
        let words = format!("{} and {more} more", page.style.ellipsis());
        page.paragraph(4, &[painted(Paint::Dim, words)]);
    }
}

/// A task left, in words.
struct Row {
    tid: String,
    name: String,
    kind: String,
    since: String,
    why: String,
}

impl Row {
    fn new(blocker: &Blocker, style: &Style) -> Self {
        let longest = if style.width < 100 { 20 } else { 32 };
        Self {
            tid: blocker.tid.to_string(),
            name: text::truncate(&style.text(&blocker.comm), longest, style.ellipsis()),
            kind: if blocker.kthread {
                "kernel thread".to_owned()
            } else if blocker.tid == blocker.tgid {
                "process".to_owned()
            } else {
                format!("thread of {}", blocker.tgid)
            },
            since: blocker
                .since_seconds
                .and_then(words::age)
                .unwrap_or_default(),
            why: why(blocker, style).unwrap_or_default(),
        }
    }
}

fn columns(page: &mut Page<'_>, rows: &[Row]) {
    let tid = column("TID", rows, |row| &row.tid);
    let name = column("TASK", rows, |row| &row.name);
    let kind = column("KIND", rows, |row| &row.kind);
    let since = column("FOR", rows, |row| &row.since);
    let head = |column: &Column| painted(Paint::Dim, padded(column.title, column.width));
    let mut titles = vec![
        plain(" ".repeat(4 + tid.width.saturating_sub(3))),
        painted(Paint::Dim, "TID"),
        plain("  "),
        head(&name),
        plain("  "),
        head(&kind),
    ];
    if since.used {
        titles.extend([plain("  "), head(&since)]);
    }
    if rows.iter().any(|row| !row.why.is_empty()) {
        titles.extend([plain("  "), painted(Paint::Dim, "WHY")]);
    }
    page.line(&titles, &[]);
    for row in rows {
        let mut prefix = vec![
            plain(format!(
                "    {}{}  ",
                " ".repeat(tid.width - row.tid.len()),
                row.tid
            )),
            painted(Paint::Bold, padded(&row.name, name.width)),
            plain(format!("  {}", padded(&row.kind, kind.width))),
        ];
        if since.used {
            prefix.push(plain(format!("  {}", padded(&row.since, since.width))));
        }
        prefix.push(plain("  "));
        page.line(&prefix, &[plain(row.why.as_str())]);
    }
}

struct Column {
    title: &'static str,
    width: usize,
    /// Whether any row has something to say.
    used: bool,
}

fn column(title: &'static str, rows: &[Row], cell: impl Fn(&Row) -> &String) -> Column {
    let widest = rows
        .iter()
        .map(|row| text::cells(cell(row)))
        .max()
        .unwrap_or(0);
    Column {
        title,
        width: widest.max(title.len()),
        used: widest > 0,
    }
}

fn sentences(page: &mut Page<'_>, rows: &[Row]) {
    let width = rows.iter().map(|row| row.tid.len()).max().unwrap_or(0);
    for row in rows {
        let mut words: Vec<Span> = vec![painted(Paint::Bold, row.name.as_str())];
        words.push(plain(format!(", {}", row.kind)));
        if !row.since.is_empty() {
            words.push(plain(format!(", {}", row.since)));
        }
        if !row.why.is_empty() {
            words.push(plain(format!(", {}", row.why)));
        }
        page.line(&[plain(format!("  {:>width$}  ", row.tid))], &words);
    }
}

/// Why it has not switched, as far as it has been looked into.
fn why(blocker: &Blocker, style: &Style) -> Option<String> {
    let function = blocker
        .function
        .as_deref()
        .map(|function| style.text(function));
    let within = function
        .as_ref()
        .map_or_else(String::new, |function| format!(" in {function}"));
    let Some(reason) = blocker.reason else {
        return function.map(|function| format!("in {function}"));
    };
    Some(match reason {
        Reason::SleepingOnFunction if function.is_none() => {
            "asleep in a patched function".to_owned()
        }
        Reason::SleepingOnFunction => format!("asleep{within}"),
        Reason::Running => format!("running{within}"),
        Reason::UnreliableStack => unreliable(blocker, style),
        Reason::WaitingForSignal => "waits for the kernel's signal".to_owned(),
        Reason::Idle => "idle task".to_owned(),
        Reason::Uninterruptible => format!("uninterruptible (D state){within}"),
        Reason::KvmVcpu => "virtual CPU, in its guest".to_owned(),
        Reason::Pending => "nothing found, tried again each second".to_owned(),
    })
}

/// What hides the stack, and whose it is.
fn unreliable(blocker: &Blocker, style: &Style) -> String {
    let on = |function: &str| format!(" on {}", style.text(function));
    let cause = match blocker.cause {
        Some(Cause::BpfTrampoline) => match &blocker.program {
            Some(program) => culprit(program, style),
            None => format!(
                "BPF program{}",
                blocker.function.as_deref().map_or_else(String::new, on)
            ),
        },
        Some(Cause::Kretprobe) => {
            format!(
                "kretprobe{}",
                blocker.function.as_deref().map_or_else(String::new, on)
            )
        }
        Some(Cause::Unknown) | None => return "stack unreliable".to_owned(),
    };
    format!("stack unreliable: {cause}")
}

/// `BPF program falcon on do_sys_poll, of falcon-sensor (1201)`
fn culprit(program: &Culprit, style: &Style) -> String {
    let mut words = "BPF program".to_owned();
    if let Some(name) = program.name.as_deref().map(|name| style.text(name)) {
        words = format!("{words} {name}");
    } else if let Some(id) = program.id {
        words = format!("{words} {id}");
    }
    if let Some(function) = &program.attached_to {
        words = format!("{words} on {}", style.text(function));
    }
    match (
        program.owner_comm.as_deref().map(|comm| style.text(comm)),
        program.owner_pid,
    ) {
        (Some(comm), Some(pid)) => format!("{words}, of {comm} ({pid})"),
        (Some(comm), None) => format!("{words}, of {comm}"),
        (None, Some(pid)) => format!("{words}, of pid {pid}"),
        (None, None) => words,
    }
}
