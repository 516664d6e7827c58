//! The tasks left over time, as a drawing in SVG.

use maud::{Markup, html};

use crate::model::snapshot::TrendPoint;
use crate::render::words;

/// The size of the drawing and its margins, in pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 36.0;

/// The number of parts into which each axis is divided.
const PARTS: u32 = 4;

/// A moment to mark: seconds on the time axis, and its name.
pub(super) type Mark = (f64, &'static str);

/// Draws the course; `None` if it has fewer than two points.
pub(super) fn course(points: &[TrendPoint], marks: &[Mark]) -> Option<Markup> {
    let (first, last) = (points.first()?, points.last()?);
    let span = last.seconds - first.seconds;
    let most = f64::from(points.iter().map(|point| point.remaining).max()?.max(1));
    if points.len() < 2 || span <= 0.0 {
        return None;
    }
    let x = |seconds: f64| LEFT + (seconds - first.seconds) / span * (WIDTH - LEFT - RIGHT);
    let y = |left: f64| TOP + (1.0 - left / most) * (HEIGHT - TOP - BOTTOM);
    let line = steps(points, x, y);
    let marks = marks
        .iter()
        .filter(|(at, _)| (first.seconds..=last.seconds).contains(at));
    let parts = (0..=PARTS).map(|part| f64::from(part) / f64::from(PARTS));
    let title = format!(
        "Tasks left: from {} to {} in {}",
        first.remaining,
        last.remaining,
        words::duration(span).unwrap_or_default()
    );
    Some(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" xmlns="http://www.w3.org/2000/svg" {
            title { (title) }
            @for part in parts.clone() {
                @let at = y(part * most);
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(at)) y2=(px(at)) {}
                text x=(LEFT - 8.0) y=(px(at + 4.0)) text-anchor="end" { (count(part * most)) }
            }
            @for part in parts {
                @let seconds = first.seconds + part * span;
                text x=(px(x(seconds))) y=(HEIGHT - BOTTOM + 18.0) text-anchor=(anchor(part)) {
                    (words::duration(seconds).unwrap_or_default())
                }
            }
            @for (at, name) in marks {
                line.mark x1=(px(x(*at))) x2=(px(x(*at))) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                text.mark x=(px(x(*at) + 4.0)) y=(TOP + 10.0) { (name) }
            }
            path.course d=(line) {}
        }
    })
}

/// A line with steps: between two points the number is that of the first.
fn steps(points: &[TrendPoint], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut line: Vec<String> = Vec::new();
    let mut before: Option<f64> = None;
    for point in points {
        let (right, down) = (x(point.seconds), y(f64::from(point.remaining)));
        if let Some(level) = before {
            line.push(format!("L{} {}", px(right), px(level)));
        }
        let command = if before.is_none() { 'M' } else { 'L' };
        line.push(format!("{command}{} {}", px(right), px(down)));
        before = Some(down);
    }
    line.concat()
}

/// A tenth of a pixel is enough.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

/// The outer labels of the time axis stay inside the drawing.
fn anchor(part: f64) -> &'static str {
    if part <= 0.0 {
        "start"
    } else if part >= 1.0 {
        "end"
    } else {
        "middle"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(seconds: f64, remaining: u32) -> TrendPoint {
        TrendPoint { seconds, remaining }
    }

    #[test]
    fn the_number_falls_in_steps() {
        let points = [point(0.0, 4), point(10.0, 1), point(20.0, 0)];
        let svg = course(&points, &[(15.0, "stalled"), (99.0, "later")]);
        let svg = svg.unwrap().into_string();
        assert!(
            svg.contains("M64.0 12.0L404.0 12.0L404.0 156.0L744.0 156.0L744.0 204.0"),
            "{svg}"
        );
        assert!(svg.contains("stalled") && !svg.contains("later"));
    }

    #[test]
    fn one_moment_is_no_course() {
        assert!(course(&[], &[]).is_none());
        assert!(course(&[point(1.0, 3)], &[]).is_none());
        assert!(course(&[point(1.0, 3), point(1.0, 3)], &[]).is_none());
    }
}
