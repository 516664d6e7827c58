//! The tasks left, with the reason why each has not switched.

use ratatui::{Frame, layout::Rect};

use super::{App, below_title, left, lines, title};
use crate::model::snapshot::Transition;
use crate::render::{
    page::{Page, Paint, Span, painted, plain},
    style::Style,
    top::{look, rows::Row},
    waits, why, words,
};
use crate::text::{NBSP, cells, truncate};

/// From this width on, the kind of each task is shown.
const WITH_KIND: u16 = 90;
/// Below this width names and times are short.
const SHORT_BELOW: u16 = 60;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let Some(transition) = app.transition() else {
        let words = "Nothing is in transition: no task is left on old code.";
        lines(app, frame, area, &[vec![plain(words)]]);
        return;
    };
    let rows = app.rows();
    let mut rest = vec![app.order.words()];
    rest.splice(0..0, left(transition));
    if !app.filter.is_empty() {
        let filter = app.style.text(&app.filter);
        rest.push(format!("filter \"{filter}\": {}", rows.len()));
    }
    let below = below_title(app, frame, area, title("TASKS LEFT", &rest.join(", ")));
    if rows.is_empty() {
        lines(app, frame, below, &[vec![plain(nothing(app))]]);
        return;
    }
    let height = usize::from(below.height).saturating_sub(1).max(1);
    let at = app.choice.place(&rows);
    let first = (at + 1)
        .saturating_sub(height)
        .min(rows.len().saturating_sub(height));
    let shown = rows.get(first..).unwrap_or_default();
    let shown = &shown[..shown.len().min(height)];
    let texts: Vec<Texts> = shown
        .iter()
        .map(|row| Texts::new(row, below.width, &app.style))
        .collect();
    let mut table = columns(&texts, below.width >= WITH_KIND);
    if let Some(row) = table.get_mut(1 + at - first) {
        mark(row);
    }
    let width = usize::from(below.width);
    let is_cut = table
        .get(1 + at - first)
        .is_some_and(|row| row.iter().map(|span| cells(&span.text)).sum::<usize>() > width);
    if below.height == 1 {
        table.remove(0);
    }
    lines(app, frame, below, &table);
    let used = u16::try_from(table.len())
        .unwrap_or(u16::MAX)
        .min(below.height);
    let rest = Rect {
        y: below.y + used,
        height: below.height - used,
        ..below
    };
    let cut = rows.get(at).filter(|_| is_cut);
    what_to_do(app, frame, rest, cut, transition);
}

/// What there is room for: the reason of the chosen row if it was cut, and what to do.
fn what_to_do(
    app: &App,
    frame: &mut Frame<'_>,
    area: Rect,
    cut: Option<&Row<'_>>,
    transition: &Transition,
) {
    let width = usize::from(area.width);
    let style = Style {
        color: false,
        width: width.max(Style::MIN_WIDTH),
        ..app.style
    };
    let mut page = Page::new(&style);
    let reason = cut.map(|row| match row {
        Row::Hold(wait) => waits::sentence(wait, &style),
        Row::Task(blocker) => {
            let (name, ids) = why::who(blocker, &style);
            let why = why::why(blocker, &style).unwrap_or_default();
            format!("{name} {ids}: {why}")
        }
    });
    if let Some(reason) = reason {
        page.paragraph(2, &[plain(reason)]);
    }
    if !transition.next.is_empty() {
        page.paragraph(0, &[plain("WHAT TO DO")]);
        for step in &transition.next {
            page.step(&[plain(format!("  {} ", style.arrow()))], step);
        }
    }
    let text: Vec<Vec<Span>> = look::folded(&page.finish(), width)
        .into_iter()
        .map(|line| {
            let is_title = line == "WHAT TO DO";
            vec![painted(
                if is_title { Paint::Bold } else { Paint::Plain },
                line,
            )]
        })
        .collect();
    // A part of a sentence says something else.
    let fits = text.len() < usize::from(area.height);
    if fits {
        let below = Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        };
        lines(app, frame, below, &text);
    }
}

fn nothing(app: &App) -> &'static str {
    let transition = app.transition();
    let left = transition.and_then(|transition| transition.tasks_remaining);
    let known = transition.map_or(0, |transition| transition.blockers.len());
    match left {
        _ if known > 0 => "No task matches the filter.",
        Some(0) => "Every task has switched. The kernel has not finished yet.",
        Some(_) => "It is unknown which tasks these are.",
        None => "How many tasks are left is unknown.",
    }
}

/// The texts of a row.
struct Texts {
    tid: String,
    name: String,
    kind: String,
    since: String,
    why: String,
    paint: Paint,
}

impl Texts {
    fn new(row: &Row<'_>, width: u16, style: &Style) -> Self {
        match row {
            Row::Hold(wait) => Self {
                tid: wait.tid.map_or_else(String::new, |tid| tid.to_string()),
                name: wait
                    .comm
                    .as_deref()
                    .map_or_else(String::new, |comm| name(comm, width, style)),
                kind: "the transition waits".to_owned(),
                since: since(wait.since_seconds, width),
                why: waits::sentence(wait, style),
                paint: Paint::Yellow,
            },
            Row::Task(blocker) => Self {
                tid: blocker.tid.to_string(),
                name: name(&blocker.comm, width, style),
                kind: words::kind(blocker),
                since: since(blocker.since_seconds, width),
                why: why::why(blocker, style).unwrap_or_else(|| "not inspected".to_owned()),
                paint: Paint::Plain,
            },
        }
    }
}

fn name(comm: &str, width: u16, style: &Style) -> String {
    let longest = if width < SHORT_BELOW { 14 } else { 20 };
    truncate(&style.text(comm), longest, style.ellipsis())
}

/// `2 min 10 s`; where there is little room, `2m`.
fn since(seconds: Option<f64>, width: u16) -> String {
    let Some(age) = seconds.and_then(words::age) else {
        return String::new();
    };
    if width >= SHORT_BELOW {
        return age.replace(NBSP, " ");
    }
    // The first number and its unit.
    let mut parts = age.split(NBSP);
    let (number, unit) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    format!("{number}{}", unit.get(..1).unwrap_or(""))
}

/// Titles and rows in columns; the reason takes what is left.
fn columns(texts: &[Texts], with_kind: bool) -> Vec<Vec<Span>> {
    let width = |title: &str, of: fn(&Texts) -> &String| {
        let cells_of = texts.iter().map(|row| cells(of(row)));
        cells_of.max().unwrap_or(0).max(cells(title))
    };
    let tid = width("TID", |row| &row.tid);
    let name = width("TASK", |row| &row.name);
    let kind = width("KIND", |row| &row.kind);
    let since = width("FOR", |row| &row.since);
    let line = |row: [&str; 5], paints: [Paint; 2]| {
        let mut spans = vec![
            plain("  "),
            painted(paints[0], format!("{:>tid$}  ", row[0])),
            painted(paints[1], filled(row[1], name)),
        ];
        if with_kind {
            spans.push(painted(paints[0], format!("  {}", filled(row[2], kind))));
        }
        spans.push(painted(
            paints[0],
            format!("  {}  {}", filled(row[3], since), row[4]),
        ));
        spans
    };
    let mut lines = vec![line(
        ["TID", "TASK", "KIND", "FOR", "WHY"],
        [Paint::Dim, Paint::Dim],
    )];
    for row in texts {
        let cells = [&row.tid, &row.name, &row.kind, &row.since, &row.why];
        let bold = if row.paint == Paint::Plain {
            Paint::Bold
        } else {
            row.paint
        };
        lines.push(line(cells.map(String::as_str), [row.paint, bold]));
    }
    lines
}

fn filled(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(cells(text))))
}

/// The chosen row has a mark, which is seen without colour as well.
fn mark(row: &mut [Span]) {
    if let Some(first) = row.first_mut() {
        *first = painted(Paint::Bold, "> ");
    }
}
