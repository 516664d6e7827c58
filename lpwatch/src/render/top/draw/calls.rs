//! The calls of old and new code: bars over time, and the rates now.

use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Sparkline, Widget},
};

use super::{App, below_title, lines, title};
use crate::render::{
    paint::{Paint, Span, painted, plain},
    style::Style,
    top::{
        calls::{CallCourse, CodeRates, FunctionKey},
        look,
    },
    words,
};
use crate::text::{cells, truncate_head};

/// Below this width a function has a line for its name, and one for each bar.
const ONE_LINE: u16 = 60;
/// The heights of a bar in one line.
const LEVELS: u64 = 8;
/// `OLD 12,345/s  `
const RATE: usize = 8;

/// The lines that all functions need.
pub(super) fn height(app: &App, width: u16) -> u16 {
    match u16::try_from(app.calls.len()).unwrap_or(u16::MAX) {
        0 => 0,
        functions => functions
            .saturating_mul(lines_each(width))
            .saturating_add(1),
    }
}

fn lines_each(width: u16) -> u16 {
    if width < ONE_LINE { 3 } else { 1 }
}

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, skip: usize) {
    if area.height == 0 {
        return;
    }
    let below = below_title(
        app,
        frame,
        area,
        title("CALLS PER SECOND", "old and new code"),
    );
    let patch = app.patch().map(|patch| patch.name.as_str());
    let shown = app.calls.shown(patch);
    if shown.is_empty() {
        let words = vec![plain(why_not(app))];
        lines(app, frame, below, &[words]);
        return;
    }
    let each = lines_each(below.width);
    let room = usize::from(below.height / each);
    let name_width = shown
        .iter()
        .map(|(key, _)| cells(&name(key, &app.style)))
        .max()
        .unwrap_or(0)
        .min(usize::from(below.width) / 3);
    for (nth, (key, series)) in shown.into_iter().skip(skip).take(room).enumerate() {
        let y = below.y + u16::try_from(nth).unwrap_or(u16::MAX).saturating_mul(each);
        let place = Rect {
            y,
            height: each,
            ..below
        };
        function(app, frame, place, (key, series), name_width);
    }
}

/// Why no calls are shown: the first reason that is known.
fn why_not(app: &App) -> String {
    let functions = app
        .snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.patches)
        .flat_map(|patch| &patch.objects)
        .flat_map(|object| &object.functions);
    let reason = functions
        .clone()
        .find_map(|function| function.not_counted.as_deref());
    match reason {
        Some(reason) => format!("Calls are not counted: {}", app.style.text(reason)),
        None if functions.clone().next().is_none() => "No function is patched.".to_owned(),
        None => "Calls are not counted.".to_owned(),
    }
}

fn name(key: &FunctionKey, style: &Style) -> String {
    let name = style.text(&key.name);
    if key.sympos > 1 {
        format!("{name} ({})", key.sympos)
    } else {
        name
    }
}

fn function(
    app: &App,
    frame: &mut Frame<'_>,
    area: Rect,
    (key, series): (&FunctionKey, &CallCourse),
    name_width: usize,
) {
    let style = &app.style;
    let paint = match series.effective {
        Some(false) => Paint::Alarm,
        Some(true) | None => Paint::Bold,
    };
    let shown = name(key, style);
    let (old, new) = series.now;
    if area.width < ONE_LINE {
        let [head, first, second] = [0, 1, 2].map(|line| Rect {
            y: area.y + line,
            height: 1,
            ..area
        });
        let cut = truncate_head(&shown, usize::from(area.width), style.ellipsis());
        lines(app, frame, head, &[vec![painted(paint, cut)]]);
        bar(app, frame, first, series, ("old", old, |rates| rates.old));
        bar(app, frame, second, series, ("new", new, |rates| rates.new));
        return;
    }
    let cut = truncate_head(&shown, name_width, style.ellipsis());
    let label = u16::try_from(name_width + 2)
        .unwrap_or(area.width)
        .min(area.width);
    lines(
        app,
        frame,
        Rect {
            width: label,
            ..area
        },
        &[vec![painted(paint, cut)]],
    );
    let half = (area.width - label) / 2;
    let first = Rect {
        x: area.x + label,
        width: half.saturating_sub(2),
        ..area
    };
    let second = Rect {
        x: area.x + label + half,
        width: half,
        ..area
    };
    bar(app, frame, first, series, ("old", old, |rates| rates.old));
    bar(app, frame, second, series, ("new", new, |rates| rates.new));
}

/// A label, the rate now, and the rates over time.
fn bar(
    app: &App,
    frame: &mut Frame<'_>,
    area: Rect,
    series: &CallCourse,
    (label, now, of): (&'static str, Option<f64>, fn(&CodeRates) -> f64),
) {
    let rate = now.map_or_else(|| "?".to_owned(), words::rate);
    let words: Vec<Span> = vec![
        painted(Paint::Dim, format!("{label} ")),
        plain(format!("{rate:>RATE$} ")),
    ];
    let used = u16::try_from(RATE + 5).unwrap_or(0).min(area.width);
    lines(
        app,
        frame,
        Rect {
            width: used,
            ..area
        },
        &[words],
    );
    let room = Rect {
        x: area.x + used,
        width: area.width - used,
        ..area
    };
    let heights = series.heights(usize::from(room.width), LEVELS, of);
    let paint = if label == "old" {
        Paint::Yellow
    } else {
        Paint::Green
    };
    Sparkline::default()
        .data(heights.collect::<Vec<u64>>())
        .max(LEVELS)
        .bar_set(look::bars(&app.style))
        .style(look::drawn(paint, &app.style))
        .render(room, frame.buffer_mut());
}
