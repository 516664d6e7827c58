//! The tasks that hold an update up, as Ksplice lists them:
//! `<comm> <pid> <symbol>…`, a line each.
//!
//! `<comm>` may contain spaces and digits, and is not escaped; `<pid>` is a
//! thread's. A symbol never begins with a digit, so the last word that is a
//! number is the pid. The file is one page: 0.9.9 leaves out whole lines that
//! do not fit, earlier versions cut off in mid-line.

/// The size limit of an attribute in sysfs.
const PAGE: usize = 4096;

/// The tasks that held up the last attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// In the file's order.
    pub tasks: Vec<Conflict>,
    /// The page is so full that more may have been left out.
    pub maybe_cut: bool,
    /// Lines that have another form.
    pub unread: u32,
}

/// One task and the functions on its stack that the update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub comm: String,
    /// A thread's.
    pub pid: u32,
    pub symbols: Vec<String>,
}

impl Conflicts {
    /// Parses a page.
    #[must_use]
    pub fn parse(page: &[u8]) -> Self {
        let text = String::from_utf8_lossy(page);
        let mut conflicts = Self::default();
        let mut longest = 0;
        for line in text.split_inclusive('\n') {
            longest = longest.max(line.len());
            let Some(line) = line.strip_suffix('\n') else {
                // A number or a name that may be cut off.
                conflicts.maybe_cut = true;
                continue;
            };
            match Conflict::parse(line) {
                Some(conflict) => conflicts.tasks.push(conflict),
                None if line.trim().is_empty() => {}
                None => conflicts.unread += 1,
            }
        }
        // No room for another line like these.
        conflicts.maybe_cut |= page.len() + longest > PAGE;
        conflicts
    }
}

impl Conflict {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        let at = words
            .iter()
            .rposition(|word| !word.is_empty() && is_number(word))?;
        // A name may be empty, but then the line begins with a space.
        if at == 0 {
            return None;
        }
        let symbols = words.get(at + 1..)?.iter().filter(|word| !word.is_empty());
        Some(Self {
            comm: words.get(..at)?.join(" "),
            pid: words.get(at)?.parse().ok()?,
            symbols: symbols.map(|word| (*word).to_owned()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(comm: &str, pid: u32, symbols: &[&str]) -> Conflict {
        Conflict {
            comm: comm.to_owned(),
            pid,
            symbols: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
        }
    }

    #[test]
    fn names_may_hold_spaces_and_numbers() {
        let read = Conflicts::parse(
            b"bash 12 do_wait sys_wait4\nmy app 2 34 f\nkworker/0:1 56\n 78 f\na  b 9 f\n",
        );
        let expected = [
            conflict("bash", 12, &["do_wait", "sys_wait4"]),
            conflict("my app 2", 34, &["f"]),
            conflict("kworker/0:1", 56, &[]),
            conflict("", 78, &["f"]),
            conflict("a  b", 9, &["f"]),
        ];
        assert_eq!(read.tasks, expected);
        assert_eq!((read.maybe_cut, read.unread), (false, 0));
    }

    #[test]
    fn a_page_cut_in_mid_line_loses_that_line_only() {
        let mut page = Vec::new();
        while page.len() < PAGE {
            page.extend_from_slice(b"worker 1234567 a_function_of_the_kernel\n");
        }
        let lines = PAGE / 40;
        page.truncate(PAGE);
        let read = Conflicts::parse(&page);
        assert_eq!(read.tasks.len(), lines);
        assert!(read.maybe_cut);
        // Whole lines, and no room for another.
        page.truncate(lines * 40);
        assert!(Conflicts::parse(&page).maybe_cut);
        page.truncate(40 * 40);
        assert!(!Conflicts::parse(&page).maybe_cut);
    }

    #[test]
    fn lines_of_another_form_are_counted() {
        for line in ["no pid at all\n", "12 f\n", "a 99999999999 f\n", "x\n"] {
            let read = Conflicts::parse(line.as_bytes());
            assert_eq!((read.tasks.len(), read.unread), (0, 1), "{line}");
        }
        assert_eq!(Conflicts::parse(b""), Conflicts::default());
        assert_eq!(Conflicts::parse(b"\n \n"), Conflicts::default());
        let odd = Conflicts::parse(b"\xff\x00 7 f\n");
        assert_eq!(odd.tasks[0].comm, "\u{fffd}\0");
    }
}
