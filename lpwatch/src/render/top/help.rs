//! What the keys do: on the screen, and in `lpwatch top --help`.

use crate::render::{
    page::{Page, Paint, painted, plain},
    style::Style,
};

/// The keys, and what each does.
const KEYS: &[(&str, &str)] = &[
    ("Up Down, j k", "choose a task, or scroll a text"),
    ("PgUp PgDn, Space", "the same, a page"),
    ("Home End", "the same, to the end"),
    ("Enter", "explain the task, as `lpwatch explain TID` does"),
    ("d", "all details of the patch, as `lpwatch status PATCH`"),
    (
        "s, r",
        "sort: worst, longest, by name, by tid; r reverses it",
    ),
    ("/", "filter by name, tid or reason; Esc removes the filter"),
    ("Tab", "the next patch, if several are loaded"),
    ("1", "everything"),
    ("2 or t", "only the tasks left"),
    ("3 or c", "only the calls of old and new code"),
    ("4 or e", "only the events that lpwatch top has seen"),
    ("Esc", "back"),
    ("h or ?", "this help"),
    ("Ctrl-L", "draw the screen again"),
    ("Ctrl-Z", "back to the shell; `fg` continues"),
    ("q or Ctrl-C", "quit"),
];

const LABEL: usize = 18;

/// The keys, and how to read the screen.
pub(super) fn text(style: &Style) -> String {
    let mut page = Page::new(style);
    page.paragraph(0, &[painted(Paint::Bold, "Keys")]);
    for (key, what) in KEYS {
        page.line(&[plain(format!("  {key:LABEL$}"))], &[plain(*what)]);
    }
    page.blank();
    page.paragraph(0, &[painted(Paint::Bold, "How to read the screen")]);
    for words in [
        "The chart shows the number of tasks left over time: how many still run the old code. \
         If the line does not fall, the transition is stalled.",
        "FOR is how long a task has been left. WHY is the reason why it has not switched.",
        "A function has two bars, OLD and NEW: the calls of the old and of the new code per \
         second over time, the newest at the right. Both have the same scale. The numbers are \
         the calls per second in the last ten seconds.",
        "lpwatch changes nothing. It prints commands that can help, and runs none of them.",
    ] {
        page.paragraph(2, &[plain(words)]);
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of the command line is written by hand: clap needs a literal.
    #[test]
    fn the_command_line_teaches_the_same_keys() {
        let help = include_str!("../../commands/top.rs");
        for (key, _) in KEYS {
            assert!(help.contains(&format!("  {key}  ")), "{key}");
        }
    }
}
