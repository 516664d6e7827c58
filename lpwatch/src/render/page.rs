//! Lines of painted text, wrapped to the width of the terminal.

use super::command;
use super::style::Style;
use crate::text::{cells, split_at_cells};

pub(super) use super::paint::{Paint, Span, painted, plain};

/// The output in progress.
pub(super) struct Page<'a> {
    pub style: &'a Style,
    out: String,
}

/// If less room than this is left beside its prefix, a body goes below it.
const MIN_BODY: usize = 16;
/// The indentation of a body below its prefix.
const BELOW: usize = 6;
/// The same for headlines, which follow long names.
const MIN_HEADLINE: usize = 30;
const BELOW_HEADLINE: usize = 2;
/// How much deeper than its sentence a command is indented.
const COMMAND: usize = 2;

impl<'a> Page<'a> {
    pub(super) fn new(style: &'a Style) -> Self {
        Self {
            style,
            out: String::new(),
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// An empty line, unless the output is still empty.
    pub(super) fn blank(&mut self) {
        if !self.is_empty() {
            self.out.push('\n');
        }
    }

    /// A line: a `prefix`, never wrapped, and a `body`, wrapped beside it.
    pub(super) fn line(&mut self, prefix: &[Span], body: &[Span]) {
        self.beside_or_below(prefix, body, MIN_BODY, BELOW);
    }

    /// Like a line, but the body needs more room to stay beside its prefix.
    pub(super) fn headline(&mut self, prefix: &[Span], body: &[Span]) {
        self.beside_or_below(prefix, body, MIN_HEADLINE, BELOW_HEADLINE);
    }

    fn beside_or_below(&mut self, prefix: &[Span], body: &[Span], min: usize, indent: usize) {
        let hang = width(prefix);
        let room = self.style.width.saturating_sub(hang);
        if width(body) <= room || room >= min {
            self.wrapped(prefix, hang, body);
        } else {
            self.raw(prefix);
            self.paragraph(indent, body);
        }
    }

    /// `body` wrapped behind `indent` spaces.
    pub(super) fn paragraph(&mut self, indent: usize, body: &[Span]) {
        self.wrapped(&[plain(" ".repeat(indent))], indent, body);
    }

    /// `body` wrapped behind `indent` spaces, its further lines two deeper.
    pub(super) fn item(&mut self, indent: usize, body: &[Span]) {
        self.wrapped(&[plain(" ".repeat(indent))], indent + 2, body);
    }

    /// A step to take: its sentence wrapped beside `prefix`, each of its commands
    /// below, whole, even where it is wider than the terminal. What is wrapped
    /// cannot be copied.
    pub(super) fn step(&mut self, prefix: &[Span], text: &str) {
        self.step_for(prefix, "", text);
    }

    /// The same behind the words, safe to show, that say which task it is for.
    pub(super) fn step_for(&mut self, prefix: &[Span], task: &str, text: &str) {
        let (sentence, commands) = command::split(text);
        let sentence = if sentence.is_empty() {
            "Run:"
        } else {
            sentence
        };
        self.line(
            prefix,
            &[plain(format!("{task}{}", self.style.text(sentence)))],
        );
        let indent = " ".repeat(width(prefix) + COMMAND);
        for command in commands {
            self.raw(&[plain(indent.as_str()), plain(self.style.text(command))]);
        }
    }

    fn wrapped(&mut self, prefix: &[Span], hang: usize, body: &[Span]) {
        let mut lines = wrap(body, self.style.width.saturating_sub(hang)).into_iter();
        let mut first = prefix.to_vec();
        first.extend(lines.next().unwrap_or_default());
        self.raw(&first);
        for line in lines {
            let mut indented = vec![plain(" ".repeat(hang))];
            indented.extend(line);
            self.raw(&indented);
        }
    }

    fn raw(&mut self, spans: &[Span]) {
        let mut spans = spans.to_vec();
        // Spaces at the end of a line are only copied along.
        while let Some(last) = spans.last_mut() {
            last.text.truncate(last.text.trim_end_matches(' ').len());
            if !last.text.is_empty() {
                break;
            }
            spans.pop();
        }
        self.out.push_str(&self.style.line(&spans));
        self.out.push('\n');
    }
}

pub(super) fn width(spans: &[Span]) -> usize {
    spans.iter().map(|span| cells(&span.text)).sum()
}

/// `spans` broken at spaces into lines of at most `width` cells; a word that
/// is wider still is cut into pieces: nothing of it is lost.
pub(super) fn wrap(spans: &[Span], width: usize) -> Vec<Vec<Span>> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for word in words(spans)
        .into_iter()
        .flat_map(|word| cut(word, width.max(1)))
    {
        let long = self::width(&word);
        let starts_line = used == 0;
        if !starts_line && used + 1 + long > width {
            lines.push(Vec::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                append(line, plain(" "), word.first().map(|span| span.paint));
                used += 1;
            }
            used += long;
            for span in word {
                append(line, span, None);
            }
        }
    }
    lines
}

/// Adds a span, joined with the last one where both are painted alike. A
/// space takes the paint of its neighbours where they agree (`next`).
fn append(line: &mut Vec<Span>, mut span: Span, next: Option<Paint>) {
    if let Some(last) = line.last_mut() {
        if Some(last.paint) == next {
            span.paint = last.paint;
        }
        if last.paint == span.paint {
            last.text.push_str(&span.text);
            return;
        }
    }
    line.push(span);
}

fn words(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut words = vec![Vec::new()];
    for span in spans {
        for (nth, part) in span.text.split(' ').enumerate() {
            if nth > 0 {
                words.push(Vec::new());
            }
            if let Some(word) = words.last_mut().filter(|_| !part.is_empty()) {
                word.push(painted(span.paint, part));
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A word in pieces that fit.
fn cut(word: Vec<Span>, width: usize) -> Vec<Vec<Span>> {
    if self::width(&word) <= width {
        return vec![word];
    }
    let mut pieces = Vec::new();
    for span in word {
        let mut rest = span.text.as_str();
        while !rest.is_empty() {
            // A character wider than the line fits nowhere: it gets its own line.
            let (piece, after) = match split_at_cells(rest, width) {
                ("", rest) => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
                fitting => fitting,
            };
            pieces.push(vec![painted(span.paint, piece)]);
            rest = after;
        }
    }
    pieces
}
