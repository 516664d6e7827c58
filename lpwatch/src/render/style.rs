//! How output looks on this terminal: colour, characters and width.

use super::paint::{Paint, Span};
use crate::text;
pub use crate::text::printable;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that supports it, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// What is known about the output: plain values, read by the caller, so that every
/// choice can be tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    pub is_terminal: bool,
    /// The width that the terminal reports, in columns.
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
    /// The width to which lines are wrapped, in cells.
    pub width: usize,
}

impl Default for Style {
    /// For a file or a pipe.
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
    /// The least width; a narrower terminal wraps the lines itself.
    pub const MIN_WIDTH: usize = 40;

    /// The style for these surroundings. `NO_COLOR` and a dumb terminal matter only
    /// if `choice` is `Auto`.
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
            unicode: supports_unicode(around),
            width: width.max(Self::MIN_WIDTH),
        }
    }

    /// Foreign `text`, escaped so that it is safe to show (see [`printable`]).
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

    /// The spans as one line, painted, with no-break spaces turned into spaces.
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

    pub(crate) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    pub(super) fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// The separator in a line that is not a sentence.
    pub(super) fn separator(&self) -> &'static str {
        if self.unicode { "·" } else { "|" }
    }
}

/// Whether the locale is UTF-8. The fonts of the Linux console lack most of the
/// characters used, so the console gets ASCII.
fn supports_unicode(around: &Surroundings<'_>) -> bool {
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
