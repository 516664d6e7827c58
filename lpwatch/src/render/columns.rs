//! Rows of short cells in columns, as wide as the widest cell.

use super::page::{Page, Paint, Span, painted, plain};
use crate::text;

/// The side of its column to which a cell is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The title of a column, and the alignment of its cells.
pub(super) type Title = (&'static str, Side);

/// Spaces between two columns.
const GAP: usize = 2;

/// Draws `rows` below their titles, behind `indent` spaces. A column that is empty in
/// every row is left out. If the rows do not fit, the first column is narrowed, to
/// no less than ten cells.
pub(super) fn columns(page: &mut Page<'_>, indent: usize, titles: &[Title], rows: &[Vec<Span>]) {
    let used: Vec<usize> = (0..titles.len())
        .filter(|&column| rows.iter().any(|row| width_of(row.get(column)) > 0))
        .collect();
    let mut widths: Vec<usize> = used
        .iter()
        .map(|&column| {
            let title = titles
                .get(column)
                .map_or(0, |(title, _)| text::cells(title));
            let cells = rows.iter().map(|row| width_of(row.get(column)));
            cells.max().unwrap_or(0).max(title)
        })
        .collect();
    let all: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) + indent;
    if let Some(first) = widths.first_mut() {
        let over = all.saturating_sub(page.style.width);
        *first = first.saturating_sub(over).max((*first).min(10));
    }
    let lay = |page: &mut Page<'_>, cells: &[Span]| {
        let mut line = vec![plain(" ".repeat(indent))];
        for (place, (&column, &width)) in used.iter().zip(&widths).enumerate() {
            let side = titles.get(column).map_or(Side::Left, |(_, side)| *side);
            let Some(cell) = cells.get(column) else {
                continue;
            };
            let shown = text::truncate_head(&cell.text, width, page.style.ellipsis());
            let fill = " ".repeat(width.saturating_sub(text::cells(&shown)));
            if place > 0 {
                line.push(plain(" ".repeat(GAP)));
            }
            let shown = painted(cell.paint, shown);
            match side {
                Side::Left => line.extend([shown, plain(fill)]),
                Side::Right => line.extend([plain(fill), shown]),
            }
        }
        page.line(&line, &[]);
    };
    let heads: Vec<Span> = titles
        .iter()
        .map(|(title, _)| painted(Paint::Dim, *title))
        .collect();
    lay(page, &heads);
    for row in rows {
        lay(page, row);
    }
}

fn width_of(cell: Option<&Span>) -> usize {
    cell.map_or(0, |cell| text::cells(&cell.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::style::Style;

    #[test]
    fn columns_fit_and_empty_ones_go() {
        let style = Style {
            width: 40,
            ..Style::default()
        };
        let mut page = Page::new(&style);
        let titles = [
            ("NAME", Side::Left),
            ("NOTHING", Side::Left),
            ("N", Side::Right),
        ];
        let rows = [
            ("a", "1"),
            ("a_very_long_name_of_a_function_of_the_kernel", "1234"),
        ]
        .map(|(name, number)| vec![plain(name), plain(""), plain(number)]);
        columns(&mut page, 2, &titles, &rows);
        let expected = "  NAME                                 N
  a                                    1
  ...e_of_a_function_of_the_kernel  1234
";
        assert_eq!(page.finish(), expected);
    }
}
