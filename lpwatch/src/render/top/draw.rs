//! Draws the state on a screen of any size.

mod calls;
mod tasks;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};

use crate::model::snapshot::{Patch, Transition};
use crate::render::{
    paint::{Paint, Span, painted, plain},
    words,
};
use crate::text::{NBSP, cells};

use super::{
    app::{App, Sheet, View},
    chart, look,
    patches::{self, most_urgent_first},
};

/// Less than this shows nothing that can be read.
const MIN_WIDTH: u16 = 20;
const MIN_HEIGHT: u16 = 4;
/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 120;
/// The height of a chart.
const CHART: std::ops::RangeInclusive<u16> = 5..=12;

/// Draws the screen.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    lines(app, frame, head, &[header(app)]);
    match (&app.sheet, app.view) {
        (Some(sheet), _) => text(app, frame, body, sheet),
        (None, View::All) => all(app, frame, body),
        (None, View::Tasks) => tasks::draw(app, frame, body),
        (None, View::Calls) => calls::draw(app, frame, body, app.scroll()),
        (None, View::Events) => events(app, frame, body, app.scroll()),
    }
    lines(app, frame, foot, &[footer(app, area.width)]);
}

/// Draws as many lines as there is room for.
fn lines(app: &App, frame: &mut Frame<'_>, area: Rect, lines: &[Vec<Span>]) {
    let shown: Vec<Line<'_>> = lines
        .iter()
        .take(usize::from(area.height))
        .map(|line| look::line(line, usize::from(area.width), &app.style))
        .collect();
    frame.render_widget(Paragraph::new(shown), area);
}

fn header(app: &App) -> Vec<Span> {
    let mut spans = vec![painted(Paint::Bold, "lpwatch top")];
    let Some(snapshot) = &app.snapshot else {
        return spans;
    };
    let parts = [
        app.clock().map(|clock| format!("{clock} UTC")),
        Some(app.style.text(&snapshot.head.host)),
        Some(
            if snapshot.daemon {
                "daemon"
            } else {
                "no daemon"
            }
            .to_owned(),
        ),
        Some(app.style.text(&snapshot.head.kernel)),
        match snapshot.notes.len() {
            0 => None,
            notes => Some(format!("{} (d)", words::counted(notes, "note"))),
        },
    ];
    for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
        let separator = app.style.separator();
        spans.push(painted(Paint::Dim, format!(" {separator} {part}")));
    }
    spans
}

fn footer(app: &App, width: u16) -> Vec<Span> {
    if app.is_typing {
        return vec![
            painted(
                Paint::Bold,
                format!("Filter: {}_", app.style.text(&app.filter)),
            ),
            painted(Paint::Dim, "  Enter keeps it, Esc removes it"),
        ];
    }
    let keys: &[&str] = match (&app.sheet, app.view) {
        (Some(_), _) => &["q quit", "Esc back", "Up Down scroll", "h help"],
        (None, View::All | View::Tasks) => &[
            "q quit",
            "h help",
            "Enter explain",
            "s sort",
            "/ filter",
            "e events",
            "c calls",
            "d details",
            "Tab patch",
            "1 all",
        ],
        (None, View::Calls | View::Events) => &[
            "q quit",
            "Esc back",
            "Up Down scroll",
            "t tasks",
            "c calls",
            "e events",
            "h help",
        ],
    };
    let mut line = String::new();
    for key in keys {
        if cells(&line) + 2 + cells(key) > usize::from(width) {
            break;
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(key);
    }
    vec![painted(Paint::Dim, line)]
}

fn text(app: &App, frame: &mut Frame<'_>, area: Rect, sheet: &Sheet) {
    let text = app.text(sheet);
    let shown: Vec<Vec<Span>> = text
        .into_iter()
        .skip(app.scroll())
        .map(|line| vec![plain(line)])
        .collect();
    lines(app, frame, area, &shown);
}

/// The title of a part.
fn title(title: &str, rest: &str) -> Vec<Span> {
    let mut spans = vec![painted(Paint::Bold, title)];
    if !rest.is_empty() {
        spans.push(painted(Paint::Dim, format!("  {rest}")));
    }
    spans
}

/// The first line of `area`, and what is below it.
fn below_title(app: &App, frame: &mut Frame<'_>, area: Rect, title: Vec<Span>) -> Rect {
    let [head, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    lines(app, frame, head, &[title]);
    rest
}

/// As much of everything as fits: patches and tasks first.
fn all(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(snapshot) = app.snapshot.clone() else {
        lines(
            app,
            frame,
            area,
            &[vec![plain("Reading the state of this host.")]],
        );
        return;
    };
    let patches = most_urgent_first(&snapshot);
    if area.width >= TWO_COLUMNS {
        let [left, gap_and_right] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Min(0)]).areas(area);
        let right = Rect {
            x: gap_and_right.x + 2,
            width: gap_and_right.width - 2,
            ..gap_and_right
        };
        let [top, below] = Layout::vertical([
            Constraint::Length(patches_height(&patches, left)),
            Constraint::Min(0),
        ])
        .areas(left);
        patch_list(app, frame, top, &patches);
        tasks_or_events(app, frame, below);
        let [chart, counted, happened] = Layout::vertical([
            Constraint::Length(if has_chart(app) { *CHART.end() } else { 0 }),
            Constraint::Length(calls::height(app, right.width).min(right.height / 2)),
            Constraint::Min(0),
        ])
        .areas(right);
        tasks_chart(app, frame, chart);
        calls::draw(app, frame, counted, 0);
        events(app, frame, happened, 0);
        return;
    }
    let chart_height = match area.height {
        height if !has_chart(app) || height < 18 => 0,
        height => (height / 3).clamp(*CHART.start(), *CHART.end()),
    };
    let counted = match area.height {
        height if height < 18 => 0,
        height => calls::height(app, area.width).min(height / 4),
    };
    let happened = if area.height >= 32 {
        area.height / 5
    } else {
        0
    };
    let [top, chart, below, calls, last] = Layout::vertical([
        Constraint::Length(patches_height(&patches, area)),
        Constraint::Length(chart_height),
        Constraint::Min(1),
        Constraint::Length(counted),
        Constraint::Length(happened),
    ])
    .areas(area);
    patch_list(app, frame, top, &patches);
    tasks_chart(app, frame, chart);
    tasks_or_events(app, frame, below);
    calls::draw(app, frame, calls, 0);
    events(app, frame, last, 0);
}

/// A line for each patch, at most a third of the screen.
fn patches_height(patches: &[&Patch], area: Rect) -> u16 {
    let most = (area.height / 3).max(1);
    u16::try_from(patches.len()).map_or(most, |height| height.clamp(1, most))
}

fn patch_list(app: &App, frame: &mut Frame<'_>, area: Rect, patches: &[&Patch]) {
    if patches.is_empty() {
        lines(app, frame, area, &[vec![plain("No live patch is loaded.")]]);
        return;
    }
    let shown = app.patch().map(|patch| patch.name.as_str());
    let all = patches::lines(patches, shown, &app.style);
    // The shown patch is in sight.
    let height = usize::from(area.height);
    let at = patches
        .iter()
        .position(|patch| Some(patch.name.as_str()) == shown)
        .unwrap_or(0);
    let first = (at + 1).saturating_sub(height);
    let mut visible: Vec<Vec<Span>> = all.into_iter().skip(first).take(height).collect();
    let hidden = patches.len() - visible.len();
    if hidden > 0
        && height > 1
        && let Some(last) = visible.last_mut().filter(|_| first == 0)
    {
        let ellipsis = app.style.ellipsis();
        *last = vec![painted(
            Paint::Dim,
            format!("  {ellipsis} and {} more (Tab)", hidden + 1),
        )];
    }
    lines(app, frame, area, &visible);
}

/// Whether the number of tasks left is known over time: also after the transition.
fn has_chart(app: &App) -> bool {
    app.patch()
        .is_some_and(|patch| !app.trend(&patch.name).is_empty())
}

fn tasks_chart(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(patch) = app.patch().filter(|_| area.height > 1) else {
        return;
    };
    let rest = app.style.text(&patch.name);
    let below = below_title(app, frame, area, title("TASKS LEFT OVER TIME", &rest));
    chart::draw(frame, below, app.trend(&patch.name), &app.style);
}

/// The tasks left; if nothing is in transition, what happened.
fn tasks_or_events(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if app.transition().is_some() {
        tasks::draw(app, frame, area);
    } else {
        let state = match app.snapshot.as_ref().map(|snapshot| &snapshot.patches) {
            Some(patches) if patches.iter().any(is_moving) => "This patch is not in transition.",
            _ => "Nothing is in transition.",
        };
        let below = below_title(app, frame, area, vec![plain(state)]);
        if area.width < TWO_COLUMNS {
            events(app, frame, below, 0);
        }
    }
}

fn is_moving(patch: &Patch) -> bool {
    patch.transition.is_some()
}

/// What happened, newest first.
fn events(app: &App, frame: &mut Frame<'_>, area: Rect, skip: usize) {
    if area.height == 0 {
        return;
    }
    let below = below_title(app, frame, area, title("EVENTS", "newest first, UTC"));
    let now = app.snapshot.as_ref().map(|snapshot| snapshot.head.taken_at);
    let mut shown: Vec<Vec<Span>> = app
        .changes
        .newest()
        .skip(skip)
        .take(usize::from(below.height))
        .map(|change| {
            let at = words::clock(change.at, now.unwrap_or(change.at));
            vec![
                painted(Paint::Dim, format!("{}  ", at.replace(NBSP, " "))),
                painted(change.paint, change.text.clone()),
            ]
        })
        .collect();
    if shown.is_empty() {
        shown.push(vec![painted(Paint::Dim, "Nothing has happened yet.")]);
    }
    lines(app, frame, below, &shown);
}

/// How many tasks are left, as far as that is known.
fn left(transition: &Transition) -> Option<String> {
    let left = transition.tasks_remaining?;
    Some(match transition.tasks_total {
        Some(total) => format!("{left} of {total}"),
        None => left.to_string(),
    })
}
