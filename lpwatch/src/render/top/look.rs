//! Text and paint as ratatui draws them.

use ratatui::{
    style::{Color, Modifier, Style as Drawn},
    symbols::{Marker, bar},
    text::{Line, Span as DrawnSpan},
};

use crate::render::{
    paint::{Paint, Span},
    style::Style,
};
use crate::text::{NBSP, cells, truncate};

/// How a paint is drawn: without colour, nothing but characters.
pub(super) fn drawn(paint: Paint, style: &Style) -> Drawn {
    let plain = Drawn::new();
    if !style.color {
        return plain;
    }
    match paint {
        Paint::Plain => plain,
        Paint::Bold => plain.add_modifier(Modifier::BOLD),
        Paint::Dim => plain.add_modifier(Modifier::DIM),
        Paint::Green => plain.fg(Color::Green),
        Paint::Yellow => plain.fg(Color::Yellow),
        Paint::Red => plain.fg(Color::Red),
        Paint::Alarm => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

/// The spans as one line, cut where the screen ends.
pub(super) fn line(spans: &[Span], width: usize, style: &Style) -> Line<'static> {
    let mut left = width;
    let mut line = Vec::new();
    for (nth, span) in spans.iter().enumerate() {
        let text = span.text.replace(NBSP, " ");
        let rest: usize = spans[nth..].iter().map(|span| cells(&span.text)).sum();
        let is_last = rest > left && cells(&text) >= left;
        let shown = if is_last {
            truncate(&text, left, style.ellipsis())
        } else {
            text
        };
        let shown = crate::text::split_at_cells(&shown, left).0.to_owned();
        left -= cells(&shown);
        line.push(DrawnSpan::styled(shown, drawn(span.paint, style)));
    }
    Line::from(line)
}

/// The lines of a text, none wider than the screen: a command that is goes on in the next
/// line, as a terminal itself would show it.
pub(super) fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while cells(rest) > width {
            let (head, tail) = crate::text::split_at_cells(rest, width);
            if head.is_empty() {
                break;
            }
            lines.push(head.to_owned());
            rest = tail;
        }
        lines.push(rest.to_owned());
    }
    lines
}

/// Of what a line of a chart consists.
pub(super) fn marker(style: &Style) -> Marker {
    if style.unicode {
        Marker::Braille
    } else {
        Marker::Custom('*')
    }
}

/// Of what bars consist: by their height.
pub(super) fn bars(style: &Style) -> bar::Set<'static> {
    if style.unicode {
        return bar::NINE_LEVELS;
    }
    bar::Set {
        empty: " ",
        one_eighth: "_",
        one_quarter: "_",
        three_eighths: ".",
        half: "-",
        five_eighths: "=",
        three_quarters: "+",
        seven_eighths: "*",
        full: "#",
    }
}
