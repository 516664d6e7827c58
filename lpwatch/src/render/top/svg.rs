//! A screen as a picture, for the documentation.

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

/// The size of a cell.
const WIDTH: u32 = 8;
const HEIGHT: u32 = 17;
const MARGIN: u32 = 10;

const GROUND: &str = "#16191d";
const TEXT: &str = "#d5d9de";
const DIM: &str = "#8a929c";

/// The screen in a font of one width. Characters of which charts consist are drawn as
/// shapes: not every font has them.
pub(super) fn of(buffer: &Buffer) -> String {
    let (columns, lines) = (u32::from(buffer.area.width), u32::from(buffer.area.height));
    let (width, height) = (columns * WIDTH + 2 * MARGIN, lines * HEIGHT + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"lpwatch top shows a stalled \
         transition\">\n<rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"13\">\n"
    );
    for (line, row) in (0..).zip(buffer.content.chunks(usize::from(buffer.area.width))) {
        runs(&mut svg, line, row);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Neighbours that look alike are one text.
fn runs(svg: &mut String, line: u32, row: &[Cell]) {
    let mut text = String::new();
    let mut begin = 0;
    for (column, cell) in (0..).zip(row) {
        if shape(svg, line, column, cell) || cell.symbol() == " " && text.is_empty() {
            flush(svg, line, begin, &mut text, row);
            begin = column + 1;
            continue;
        }
        let is_alike = row
            .get(begin as usize)
            .is_some_and(|first| (first.fg, first.modifier) == (cell.fg, cell.modifier));
        if !is_alike {
            flush(svg, line, begin, &mut text, row);
            begin = column;
        }
        text.push_str(cell.symbol());
    }
    flush(svg, line, begin, &mut text, row);
}

fn flush(svg: &mut String, line: u32, begin: u32, text: &mut String, row: &[Cell]) {
    let shown = std::mem::take(text);
    let shown = shown.trim_end();
    let Some(cell) = row.get(begin as usize).filter(|_| !shown.is_empty()) else {
        return;
    };
    let weight = if cell.modifier.contains(Modifier::BOLD) {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let escaped = shown
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let length = u32::try_from(crate::text::cells(shown)).unwrap() * WIDTH;
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" fill=\"{}\"{weight} textLength=\"{length}\" \
         xml:space=\"preserve\">{escaped}</text>",
        MARGIN + begin * WIDTH,
        MARGIN + line * HEIGHT + 13,
        fill(cell),
    )
    .unwrap();
}

fn fill(cell: &Cell) -> &'static str {
    match cell.fg {
        Color::Green => "#7ec77e",
        Color::Yellow => "#e0b64f",
        Color::Red => "#f0716b",
        _ if cell.modifier.contains(Modifier::DIM) => DIM,
        _ => TEXT,
    }
}

/// Draws dots of Braille, bars and axes; `false` for text.
fn shape(svg: &mut String, line: u32, column: u32, cell: &Cell) -> bool {
    let (x, y) = (MARGIN + column * WIDTH, MARGIN + line * HEIGHT);
    let mut rect = |x: u32, y: u32, width: u32, height: u32| {
        let fill = fill(cell);
        writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>"
        )
        .unwrap();
    };
    let Some(c) = cell.symbol().chars().next() else {
        return false;
    };
    match c {
        '\u{2800}'..='\u{28ff}' => {
            // The dots in the order of their bits: column, line.
            const DOTS: [(u32, u32); 8] = [
                (0, 0),
                (0, 1),
                (0, 2),
                (1, 0),
                (1, 1),
                (1, 2),
                (0, 3),
                (1, 3),
            ];
            let bits = u32::from(c) - 0x2800;
            for (bit, (right, down)) in DOTS.into_iter().enumerate() {
                if (bits >> bit) & 1 == 1 {
                    rect(x + 1 + right * 4, y + 1 + down * 4, 3, 3);
                }
            }
        }
        '\u{2581}'..='\u{2588}' => {
            let height = (u32::from(c) - 0x2580) * (HEIGHT - 2) / 8;
            rect(x, y + HEIGHT - 1 - height, WIDTH - 1, height);
        }
        '│' => rect(x + 3, y, 1, HEIGHT),
        '─' => rect(x, y + 8, WIDTH, 1),
        '└' => {
            rect(x + 3, y, 1, 9);
            rect(x + 3, y + 8, WIDTH - 3, 1);
        }
        _ => return false,
    }
    true
}
