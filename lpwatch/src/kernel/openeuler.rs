//! Patches of openEuler's own live patching: `<procfs>/livepatch/state`.
//!
//! A table `Index  Patch  State` between two rulers, in the order the patches
//! were enabled. Source: `state_show` in `kernel/livepatch/core.c` of openEuler's
//! kernels 4.19 and 5.10 (and of Huawei's 4.9, which also prints `UNDEF`).

use super::files::FileReader;
use super::{ReadError, Roots};

const REMEDY: &str = "run as root";

/// All patches in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateTable {
    /// In the table's order.
    pub patches: Vec<StateRow>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// From 1.
    pub index: Option<u32>,
    pub name: String,
    /// `None` for a state other than `enabled` and `disabled`.
    pub enabled: Option<bool>,
}

/// Reads the table; `None` where this kernel has none.
///
/// # Errors
/// The root does not exist, or the file exists and cannot be read.
pub fn read(roots: &Roots) -> Result<Option<StateTable>, ReadError> {
    let path = roots.procfs.join("livepatch/state");
    let bytes = match super::files::bytes(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && roots.procfs.is_dir() => {
            return Ok(None);
        }
        Err(error) => return Err(ReadError::from_io(&path, error, REMEDY)),
    };
    let mut table = StateTable::default();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut table.notes,
    };
    let text = String::from_utf8_lossy(&bytes);
    for line in text.lines().filter(|line| is_row(line)) {
        if let Some(row) = row(line) {
            if row.enabled.is_none() {
                reader.note(format!(
                    "{} gives {} a state that lpwatch does not know: {line:?}.",
                    path.display(),
                    row.name
                ));
            }
            table.patches.push(row);
        } else {
            reader.note(format!(
                "{} has a line that was left out: {line:?}.",
                path.display()
            ));
        }
    }
    Ok(Some(table))
}

/// Neither the header nor a ruler.
fn is_row(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('-') && !line.starts_with("Index")
}

fn row(line: &str) -> Option<StateRow> {
    let mut words = line.split_ascii_whitespace();
    let (index, name, state) = (words.next()?, words.next()?, words.next()?);
    Some(StateRow {
        index: index.parse().ok(),
        name: name.to_owned(),
        enabled: match state {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::files::tests::FakeHost;

    const TABLE: &str = "\
Index\tPatch                     \tState   \n\
-----------------------------------------------\n\
1    \tklp_one                   \tenabled \n\
2    \tklp_two                   \tdisabled\n\
-----------------------------------------------\n";

    fn table(text: &str) -> StateTable {
        let host = FakeHost::new(&[("proc/livepatch/state", text)]);
        read(&host.roots).unwrap().unwrap()
    }

    #[test]
    fn the_table_is_read() {
        let row = |index, name: &str, enabled| StateRow {
            index: Some(index),
            name: name.to_owned(),
            enabled: Some(enabled),
        };
        let read = table(TABLE);
        assert_eq!(
            read.patches,
            [row(1, "klp_one", true), row(2, "klp_two", false)]
        );
        assert_eq!(read.notes, [""; 0]);
    }

    #[test]
    fn an_empty_table_has_no_patches_and_no_file_is_no_such_system() {
        assert_eq!(
            table("Index\tPatch\tState\n---\n---\n"),
            StateTable::default()
        );
        assert_eq!(table(""), StateTable::default());
        let mut host = FakeHost::new(&[]);
        assert_eq!(read(&host.roots).unwrap(), None);
        host.roots.procfs.push("mistyped");
        assert!(read(&host.roots).is_err());
    }

    #[test]
    fn a_table_longer_than_a_page_is_read_whole() {
        let rows = (1..=300).map(|index| format!("{index:<5}\tklp_{index:<22}\tenabled \n"));
        let text: String = rows.collect();
        assert!(text.len() > 2 * 4096);
        let read = table(&text);
        assert_eq!((read.patches.len(), read.notes.len()), (300, 0));
    }

    #[test]
    fn a_cut_line_and_an_odd_state_are_reported() {
        let read = table("1\tone\tUNDEF\nx\ttwo\tenabled\n3\tthr");
        assert_eq!(read.patches.len(), 2);
        assert_eq!(
            (read.patches[0].enabled, read.patches[1].index),
            (None, None)
        );
        assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
    }
}
