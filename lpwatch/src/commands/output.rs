//! Standard output, and the form in which to write to it.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use crate::{
    model::Snapshot,
    render::{
        json,
        style::{Style, Surroundings},
        table,
    },
};

use super::{
    args::{Globals, OutputForm},
    watching::Printed,
};

/// Writes values to standard output in the requested form.
pub struct Printer {
    form: OutputForm,
    pub style: Style,
    is_terminal: bool,
    /// The lines of the terminal.
    height: Option<usize>,
}

impl Printer {
    pub fn new(globals: &Globals) -> Self {
        let variable = |name| env::var(name).ok();
        let no_color = variable("NO_COLOR");
        let term = variable("TERM");
        let columns = variable("COLUMNS");
        let [lc_all, lc_ctype, lang] = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable);
        let is_terminal = io::stdout().is_terminal();
        let surroundings = Surroundings {
            is_terminal,
            terminal_width: terminal_width(),
            no_color: no_color.as_deref(),
            term: term.as_deref(),
            columns: columns.as_deref(),
            lc_all: lc_all.as_deref(),
            lc_ctype: lc_ctype.as_deref(),
            lang: lang.as_deref(),
        };
        Self {
            form: globals.output,
            style: Style::for_terminal(globals.color, &surroundings),
            is_terminal,
            height: terminal_height(),
        }
    }

    /// Whether the output is JSON.
    pub fn is_json(&self) -> bool {
        match self.form {
            OutputForm::Table => false,
            OutputForm::Json | OutputForm::Jsonl => true,
        }
    }

    /// Whether each item is a JSON document on a line of its own.
    pub fn is_lines(&self) -> bool {
        self.form == OutputForm::Jsonl
    }

    /// Writes one snapshot; `only` names the patch to which it was reduced.
    pub fn snapshot(&self, snapshot: &Snapshot, only: Option<&str>) -> anyhow::Result<()> {
        Self::text(&self.form(snapshot, only)?)
    }

    fn form(&self, snapshot: &Snapshot, only: Option<&str>) -> anyhow::Result<String> {
        Ok(match self.form {
            OutputForm::Table => match only {
                Some(patch) => table::status_of(patch, snapshot, &self.style),
                None => table::status(snapshot, &self.style),
            },
            OutputForm::Json => json::pretty(snapshot)?,
            OutputForm::Jsonl => json::line(snapshot)?,
        })
    }

    /// Writes one snapshot over the previous one, if it differs from that.
    pub fn next_snapshot(
        &self,
        snapshot: &Snapshot,
        only: Option<&str>,
        printed: &mut Printed,
    ) -> anyhow::Result<()> {
        if !self.is_json() {
            return self.again(&self.form(snapshot, only)?, printed);
        }
        if printed.is_news("", snapshot)? {
            Self::text(&self.form(snapshot, only)?)?;
        }
        Ok(())
    }

    /// Writes a table over the previous one. On a terminal its first lines stay in
    /// sight, where the patch in transition is.
    pub fn again(&self, table: &str, printed: &mut Printed) -> anyhow::Result<()> {
        let shown = match self.height.filter(|_| self.is_terminal) {
            Some(height) => cut(table, height, self.style.ellipsis()),
            None => table.to_owned(),
        };
        if printed.is_new_text(&shown) {
            self.clear()?;
            Self::text(&shown)?;
        }
        Ok(())
    }

    /// Clears the terminal for the next output.
    pub fn clear(&self) -> anyhow::Result<()> {
        if self.is_terminal && !self.is_json() {
            // Cursor home, and clear to the end.
            write!(io::stdout(), "\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    /// Writes a value as JSON in the requested form.
    pub fn json<T: serde::Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let text = match self.form {
            OutputForm::Json => serde_json::to_string_pretty(value)?,
            OutputForm::Table | OutputForm::Jsonl => serde_json::to_string(value)?,
        };
        Self::text(&text)
    }

    /// Writes text and ends its last line.
    pub fn text(text: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        Ok(stdout.flush()?)
    }
}

/// The first lines of a table, as many as fit above the cursor.
fn cut(table: &str, height: usize, ellipsis: &str) -> String {
    let lines: Vec<&str> = table.lines().collect();
    // One line for the words below, one for the cursor.
    let room = height.saturating_sub(2).max(1);
    if lines.len() <= room + 1 {
        return table.to_owned();
    }
    let more = lines.len() - room;
    format!(
        "{}\n{ellipsis} and {more} more lines",
        lines[..room].join("\n")
    )
}

fn terminal_height() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0).then(|| usize::from(size.ws_row))
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_stay_in_sight() {
        let table = "1\n2\n3\n4\n5\n6\n";
        assert_eq!(cut(table, 7, "..."), table);
        assert_eq!(cut(table, 6, "..."), "1\n2\n3\n4\n... and 2 more lines");
        assert_eq!(cut(table, 1, "..."), "1\n... and 5 more lines");
    }
}
