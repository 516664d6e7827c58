//! The tasks left: in columns, or on a narrow terminal in a sentence each.

use super::padded;
use crate::model::Blocker;
use crate::model::snapshot::Transition;
use crate::model::task_report::worst_first;
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::style::Style;
use crate::render::{sums, why, words};
use crate::text;

/// How many tasks are shown.
const SHOWN: usize = 10;
/// The least width for columns.
const COLUMNS_FROM: usize = 60;

pub(super) fn table(page: &mut Page<'_>, transition: &Transition) {
    let blockers = &transition.blockers;
    let left = transition
        .tasks_remaining
        .and_then(|left| usize::try_from(left).ok())
        .unwrap_or(0);
    if blockers.is_empty() {
        if left > 0 && transition.waits_for.is_none() {
            page.paragraph(2, &[plain("It is unknown which tasks these are.")]);
        }
        return;
    }
    let sorted = worst_first(blockers);
    // For a single task its row is enough.
    if let Some(sums) = sums::by_reason(&sorted, page.style).filter(|_| blockers.len() > 1) {
        page.paragraph(2, &[plain(format!("Left: {sums}."))]);
    }
    page.blank();
    let shown = &sorted[..sorted.len().min(SHOWN)];
    let rows: Vec<BlockerRow> = shown
        .iter()
        .map(|blocker| BlockerRow::new(blocker, page.style))
        .collect();
    if page.style.width < COLUMNS_FROM {
        sentences(page, &rows);
    } else {
        columns(page, &rows);
    }
    let more = blockers.len().max(left) - shown.len();
    if more > 0 {
        let words = format!("{} and {more} more:\nlpwatch tasks", page.style.ellipsis());
        page.step(&[plain("    ")], &words);
    }
}

/// The texts of a task left.
struct BlockerRow {
    tid: String,
    name: String,
    kind: String,
    since: String,
    why: String,
}

impl BlockerRow {
    fn new(blocker: &Blocker, style: &Style) -> Self {
        let longest = if style.width < 100 { 20 } else { 32 };
        Self {
            tid: blocker.tid.to_string(),
            name: text::truncate(&style.text(&blocker.comm), longest, style.ellipsis()),
            kind: words::kind(blocker),
            since: blocker
                .since_seconds
                .and_then(words::age)
                .unwrap_or_default(),
            why: why::why(blocker, style).unwrap_or_default(),
        }
    }
}

fn columns(page: &mut Page<'_>, rows: &[BlockerRow]) {
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
    /// Whether any row has a text in it.
    used: bool,
}

fn column(
    title: &'static str,
    rows: &[BlockerRow],
    cell: impl Fn(&BlockerRow) -> &String,
) -> Column {
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

fn sentences(page: &mut Page<'_>, rows: &[BlockerRow]) {
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
