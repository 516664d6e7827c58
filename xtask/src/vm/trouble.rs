//! Signs of trouble on a guest's kernel console, and its verdict line.

/// What a guest says on its control port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `init` is running.
    Booted,
    /// The script ended with this code.
    Exit(u8),
}

/// Reads one line of the control port.
pub fn word(line: &str) -> Option<Word> {
    let line = line.trim();
    if line == "booted" {
        return Some(Word::Booted);
    }
    line.strip_prefix("exit ")?.parse().ok().map(Word::Exit)
}

/// How a kernel says that it can no longer be trusted, at the start of a line.
const SIGNS: &[(&str, &str)] = &[
    ("Kernel panic - not syncing", "the guest's kernel panicked"),
    (
        "watchdog: BUG: soft lockup",
        "a processor of the guest is locked up",
    ),
    ("watchdog: CPU", "a processor of the guest is locked up"),
    ("BUG: ", "the guest's kernel hit a bug"),
    ("kernel BUG at", "the guest's kernel hit a bug"),
    ("Oops: ", "the guest's kernel hit an oops"),
    ("general protection fault", "the guest's kernel hit a fault"),
    ("Unable to handle kernel", "the guest's kernel hit a fault"),
];

/// Whether a line of the console means that the guest is lost.
pub fn sign(line: &str) -> Option<&'static str> {
    let text = without_stamps(line);
    SIGNS
        .iter()
        .find(|(sign, _)| text.starts_with(sign))
        .map(|(_, meaning)| *meaning)
}

/// A line without `[   12.345678]` and `[  T12]` before it.
fn without_stamps(line: &str) -> &str {
    let mut text = line.trim();
    while let Some((_, rest)) = text
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        text = rest.trim_start();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        assert_eq!(word("exit 0"), Some(Word::Exit(0)));
        assert_eq!(word("exit 11\r"), Some(Word::Exit(11)));
        assert_eq!(word("booted"), Some(Word::Booted));
        assert_eq!(word("exit 300"), None);
        assert_eq!(word("exit"), None);
    }

    #[test]
    fn trouble_is_seen() {
        for line in [
            "[    1.234567] Kernel panic - not syncing: Attempted to kill init!",
            "[   24.1][   T12] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]",
            "[    3.0] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[    3.0] Oops: 0000 [#1] PREEMPT SMP NOPTI",
        ] {
            assert!(sign(line).is_some(), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_not_trouble() {
        for line in [
            "[    0.5] livepatch: enabling patch 'lp_stall'",
            "[    0.5] lp_test: says BUG: in the middle of a line",
            "",
            "[",
        ] {
            assert_eq!(sign(line), None, "{line}");
        }
    }
}
