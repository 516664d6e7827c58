//! The number of tasks left over time.

use ratatui::{
    Frame,
    layout::Rect,
    symbols::Marker,
    widgets::{Axis, Chart, Dataset, GraphType},
};

use crate::model::snapshot::TrendPoint;
use crate::render::{paint::Paint, style::Style, words};
use crate::text::NBSP;

use super::look;

/// Draws the trend.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, trend: &[TrendPoint], style: &Style) {
    let points = steps(trend);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return;
    };
    // A chart needs an extent.
    let seconds = [first.0, last.0.max(first.0 + 1.0)];
    let most = points.iter().map(|point| point.1).fold(1.0, f64::max);
    let marker: Marker = look::marker(style);
    let line = Dataset::default()
        .marker(marker)
        .graph_type(GraphType::Line)
        .style(look::drawn(Paint::Green, style))
        .data(&points);
    let dim = look::drawn(Paint::Dim, style);
    let time = |seconds: f64| words::age(seconds).map(|age| age.replace(NBSP, " "));
    let middle = f64::midpoint(seconds[0], seconds[1]);
    let times = [seconds[0], middle, seconds[1]].map(|at| time(at).unwrap_or_default());
    let chart = Chart::new(vec![line])
        .legend_position(None)
        .x_axis(Axis::default().style(dim).bounds(seconds).labels(times))
        .y_axis(
            Axis::default()
                .style(dim)
                .bounds([0.0, most])
                .labels(["0".to_owned(), format!("{most:.0}")]),
        );
    frame.render_widget(chart, area);
    if !style.unicode {
        ascii_axes(frame, area);
    }
}

/// The number stays the same until a task switches.
fn steps(trend: &[TrendPoint]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(2 * trend.len());
    for point in trend {
        let left = f64::from(point.remaining);
        if let Some(&(_, before)) = points.last()
            && before > left
        {
            points.push((point.seconds, before));
        }
        points.push((point.seconds, left));
    }
    points
}

/// A terminal without UTF-8 cannot show the axes that ratatui draws.
fn ascii_axes(frame: &mut Frame<'_>, area: Rect) {
    let buffer = frame.buffer_mut();
    for position in area.positions() {
        if let Some(cell) = buffer.cell_mut(position) {
            let ascii = match cell.symbol() {
                "│" => "|",
                "─" => "-",
                "└" => "+",
                _ => continue,
            };
            cell.set_symbol(ascii);
        }
    }
}
