//! How output looks on this terminal: colour, alphabet and width.

use super::paint::{Paint, Span};
use crate::text;
pub use crate::text::printable;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or it cannot.
    #[default]
    Auto,
    Always,
    Never,
}

/// What is known of the place output goes to: plain values, looked up by the
/// caller, so that every choice can be tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    pub is_terminal: bool,
    /// The terminal's own width in columns, where it tells.
    pub terminal_width: Option<usize>,
    /// `$NO_COLOR`
    pub no_color: Option<&'a str>,
    /// `$TERM`
    pub term: Option<&'a str>,
    /// `$COLUMNS`
    pub columns: Option<&'a str>,
    /// `$LC_ALL`
    pub lc_all: Option<&'a str>,
    /// `$LC_CTYPE`
    pub lc_ctype: Option<&'a str>,
    /// `$LANG`
    pub lang: Option<&'a str>,
}

/// How output looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Whether more than ASCII may be shown.
    pub unicode: bool,
    /// No line is wider, in cells.
    pub width: usize,
}

impl Default for Style {
    /// For a file or a pipe of which nothing is known.
    fn default() -> Self {
        Self {
            color: false,
            unicode: false,
            width: Self::DEFAULT_WIDTH,
        }
    }
}

impl Style {
    pub const DEFAULT_WIDTH: usize = 80;
    /// Below this nothing can be laid out; the terminal wraps instead.
    pub const MIN_WIDTH: usize = 40;

    /// The style for a place: `choice` decides on colour, `NO_COLOR` and a
    /// dumb terminal count only where it leaves the decision open.
    #[must_use]
    pub fn for_terminal(choice: ColorChoice, around: &Surroundings<'_>) -> Self {
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                around.is_terminal
                    && around.no_color.is_none_or(str::is_empty)
                    && around.term != Some("dumb")
            }
        };
        let width = around
            .columns
            .and_then(|columns| columns.trim().parse().ok())
            .or(around.terminal_width)
            .filter(|&width| width > 0)
            .unwrap_or(Self::DEFAULT_WIDTH);
        Self {
            color,
            unicode: speaks_unicode(around),
            width: width.max(Self::MIN_WIDTH),
        }
    }

    /// `text` from elsewhere, safe to show here (see [`printable`]).
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if self.unicode {
            printable(text)
        } else {
            text::printable_ascii(text)
        }
    }

    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        self.paint(Paint::Bold, text)
    }

    #[must_use]
    pub fn dim(&self, text: &str) -> String {
        self.paint(Paint::Dim, text)
    }

    #[must_use]
    pub fn red(&self, text: &str) -> String {
        self.paint(Paint::Red, text)
    }

    #[must_use]
    pub fn yellow(&self, text: &str) -> String {
        self.paint(Paint::Yellow, text)
    }

    #[must_use]
    pub fn green(&self, text: &str) -> String {
        self.paint(Paint::Green, text)
    }

    /// The spans as one line, painted, glue turned into spaces.
    pub(super) fn line(&self, spans: &[Span]) -> String {
        spans
            .iter()
            .map(|span| self.paint(span.paint, &span.text.replace(text::NBSP, " ")))
            .collect()
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        match paint.code() {
            Some(code) if self.color && !text.is_empty() => {
                format!("\u{1b}[{code}m{text}\u{1b}[0m")
            }
            _ => text.to_owned(),
        }
    }

    pub(super) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    pub(super) fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Between the parts of a line that is no sentence.
    pub(super) fn separator(&self) -> &'static str {
        if self.unicode { "·" } else { "|" }
    }
}

/// Whether the locale is UTF-8. The Linux console's fonts lack most of what
/// we draw with, so it gets ASCII.
fn speaks_unicode(around: &Surroundings<'_>) -> bool {
    let locale = [around.lc_all, around.lc_ctype, around.lang]
        .into_iter()
        .flatten()
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_ascii_lowercase();
    (locale.contains("utf-8") || locale.contains("utf8")) && around.term != Some("linux")
}

#[cfg(test)]
mod tests;
