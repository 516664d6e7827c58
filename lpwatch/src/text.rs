//! Text that is safe for the terminal, measured in cells.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// A no-break space: lines are not broken at it. It is shown as a plain space.
pub(crate) const NBSP: char = '\u{a0}';

/// `text` with all characters escaped that control the terminal or disguise the
/// text: control characters (ESC, newline, C1), line separators, invisible and bidi
/// characters.
#[must_use]
pub fn printable(text: &str) -> String {
    escape(text, is_unsafe)
}

/// Like [`printable`], with everything outside ASCII escaped as well: on a terminal
/// without UTF-8 the bytes of a harmless character can be control characters.
pub(crate) fn printable_ascii(text: &str) -> String {
    escape(text, |c| !c.is_ascii() || is_unsafe(c))
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if !is_escaped(c) => out.push(c),
            c if u32::from(c) < 0x100 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The width of `text` in cells, character by character, as terminals count.
pub(crate) fn cells(text: &str) -> usize {
    text.chars().map(cells_of).sum()
}

fn cells_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// `text` in at most `width` cells; if it is wider, `ellipsis` replaces its end.
pub(crate) fn truncate(text: &str, width: usize, ellipsis: &str) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let (head, _) = split_at_cells(text, width.saturating_sub(cells(ellipsis)));
    format!("{head}{ellipsis}")
}

/// The same with the beginning replaced: function names differ mostly at the end.
pub(crate) fn truncate_head(text: &str, width: usize, ellipsis: &str) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(cells(ellipsis));
    let mut tail = text;
    while cells(tail) > room {
        let mut chars = tail.chars();
        chars.next();
        tail = chars.as_str();
    }
    format!("{ellipsis}{tail}")
}

/// `text` split after at most `width` cells.
pub(crate) fn split_at_cells(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += cells_of(c);
        if used > width {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// A word, for example a path, as the shell takes it, on one line.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-.,:@%+=".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else if word.chars().any(char::is_control) {
        let escaped = word.replace('\\', r"\\").replace('\'', r"\'");
        format!("$'{}'", printable(&escaped))
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("kworker/0:1-events"), "kworker/0:1-events");
        assert_eq!(printable("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(printable("\u{1b}[2J\u{7f}\u{0}"), "\\x1b[2J\\x7f\\x00");
        assert_eq!(printable("\u{9b}31m"), "\\x9b31m");
        assert_eq!(printable("\u{202e}dab\u{2066}"), "\\u{202e}dab\\u{2066}");
        assert_eq!(printable("a\u{200b}b\u{2028}"), "a\\u{200b}b\\u{2028}");
        assert_eq!(printable("naïve 数据 \u{fffd}"), "naïve 数据 \u{fffd}");
        assert_eq!(printable_ascii("ï数"), "\\xef\\u{6570}");
    }

    #[test]
    fn names_are_truncated_by_cells() {
        assert_eq!(truncate("short", 5, "…"), "short");
        assert_eq!(truncate("longer", 5, "…"), "long…");
        assert_eq!(truncate("longer", 5, "..."), "lo...");
        // A wide character that crosses the edge is left out.
        assert_eq!(truncate("数据数据", 4, "…"), "数…");
        assert_eq!(cells("数据"), 4);
        assert_eq!(truncate_head("longer", 5, "…"), "…nger");
        assert_eq!(truncate_head("数据数据", 4, "…"), "…据");
        assert_eq!(truncate_head("short", 5, "…"), "short");
    }
}
