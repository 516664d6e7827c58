//! Cuts a guest's console into lines, and remembers the last ones.

use std::collections::VecDeque;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    partial: String,
}

impl Lines {
    /// Takes more bytes and returns the lines that are now whole.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.partial.push_str(&String::from_utf8_lossy(bytes));
        let Some(end) = self.partial.rfind('\n') else {
            return Vec::new();
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        whole.lines().map(str::to_owned).collect()
    }

    /// The line that has not ended yet.
    pub fn partial(&self) -> &str {
        &self.partial
    }
}

/// The last lines of a console, shown when a guest dies.
#[derive(Debug)]
pub struct Recent {
    lines: VecDeque<String>,
    most: usize,
}

impl Recent {
    /// Remembers up to `most` lines.
    pub fn new(most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            most,
        }
    }

    pub fn push(&mut self, line: String) {
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// What is remembered, and a line that has not ended.
    pub fn text(&self, partial: &str) -> String {
        let whole = self.lines.iter().map(String::as_str);
        let last = (!partial.is_empty()).then_some(partial);
        whole.chain(last).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_in_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"on"), Vec::<String>::new());
        assert_eq!(lines.push(b"e\r\ntwo\nth"), ["one", "two"]);
        assert_eq!(lines.partial(), "th");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut recent = Recent::new(2);
        for line in ["a", "b", "c"] {
            recent.push(line.to_owned());
        }
        assert_eq!(recent.text("d"), "b\nc\nd");
    }
}
