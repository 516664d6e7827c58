//! Reading the small files of sysfs and procfs, which may not be there, may go
//! while they are read, and may hold what nobody expected.
//!
//! Two ways to meet trouble: [`Failure`] for a system whose files are all there
//! is to read, and [`Reader`] for one of several, where a file that says nothing
//! leaves a field out and a sentence behind.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{ReadError, Roots};

/// An attribute of sysfs fits a page, and the others read here are far smaller;
/// what is larger is cut.
const LARGEST: u64 = 1 << 20;

/// Why something could not be read.
pub(super) enum Failure {
    /// Its directory was removed meanwhile.
    Vanished,
    Read(ReadError),
}

impl Failure {
    /// sysfs says ENODEV of a file that was open when its directory was removed.
    pub(super) fn of(path: &Path, error: io::Error, remedy: &'static str) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NODEV) => Self::Vanished,
            _ => Self::Read(ReadError::from_io(path, error, remedy)),
        }
    }
}

/// An entry of a directory.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) is_directory: bool,
}

impl Entry {
    pub(super) fn lossy(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}

pub(super) fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok(Entry {
                name: entry.file_name(),
                is_directory: entry.file_type()?.is_dir(),
            })
        })
        .collect()
}

/// The entries of a system's directory; `None` where it does not exist below a
/// root that does, so that a mistyped root is told.
pub(super) fn list_system(
    root: &Path,
    directory: &Path,
    remedy: &'static str,
) -> Result<Option<Vec<Entry>>, ReadError> {
    match list(directory) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && root.is_dir() => Ok(None),
        Err(error) => Err(ReadError::from_io(directory, error, remedy)),
    }
}

/// The names of those entries that are directories, sorted.
pub(super) fn folders(entries: Vec<Entry>) -> Vec<OsString> {
    let entries = entries.into_iter().filter(|entry| entry.is_directory);
    let mut names: Vec<OsString> = entries.map(|entry| entry.name).collect();
    names.sort();
    names
}

/// The bytes of a file, up to a size that none of those read here has.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn parse_flag(text: &[u8]) -> Option<bool> {
    match text.trim_ascii() {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

pub(super) fn parse_number(text: &[u8]) -> Option<u32> {
    let digits = text.trim_ascii();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Parses `0x…`, as the kernel prints an address; 0 is one that is hidden or
/// not known.
pub(super) fn parse_address(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii().strip_prefix(b"0x")?;
    let address = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    (address != 0).then_some(address)
}

/// Parses `name,sympos`.
pub(super) fn parse_function(entry: &str) -> Option<(&str, u32)> {
    let (name, sympos) = entry.rsplit_once(',')?;
    if name.is_empty() {
        return None;
    }
    Some((name, parse_number(sympos.as_bytes())?))
}

/// Whether this is one name in a directory, and leads nowhere else.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

/// Where the rest of the host lies whose sysfs and procfs these are: `/` for the
/// running one, for `DIR/sys` and `DIR/proc` the same `DIR`; `None` where that
/// cannot be told.
#[must_use]
pub fn host_root(roots: &Roots) -> Option<PathBuf> {
    if roots.is_live() {
        return Some(PathBuf::from("/"));
    }
    let Roots { sysfs, procfs } = roots;
    let named = |path: &Path, name: &str| path.file_name().is_some_and(|last| last == name);
    let root = sysfs.parent()?;
    (named(sysfs, "sys") && named(procfs, "proc") && procfs.parent() == Some(root))
        .then(|| root.to_owned())
}

/// Reads files one by one; what goes wrong is noted and hides nothing else.
pub(super) struct Reader<'a> {
    /// What more privilege would give, for the notes.
    pub(super) remedy: &'static str,
    pub(super) notes: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// The file's bytes; `None` without a note where there is no such file.
    pub(super) fn bytes(&mut self, path: &Path) -> Option<Vec<u8>> {
        match bytes(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.failed(path, error);
                None
            }
        }
    }

    /// The file as text; bytes that are not UTF-8 are replaced.
    pub(super) fn text(&mut self, path: &Path) -> Option<String> {
        let bytes = self.bytes(path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The file's only word.
    pub(super) fn word(&mut self, path: &Path) -> Option<String> {
        let text = self.text(path)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn flag(&mut self, path: &Path) -> Option<bool> {
        self.parsed(path, "0 or 1", parse_flag)
    }

    pub(super) fn number(&mut self, path: &Path) -> Option<u32> {
        self.parsed(path, "a number", parse_number)
    }

    /// The entries of a directory; none where it is gone.
    pub(super) fn list(&mut self, directory: &Path) -> Vec<Entry> {
        list(directory).unwrap_or_else(|error| {
            self.failed(directory, error);
            Vec::new()
        })
    }

    /// The names of the directories in `directory`, sorted.
    pub(super) fn folders(&mut self, directory: &Path) -> Vec<OsString> {
        folders(self.list(directory))
    }

    pub(super) fn note(&mut self, note: String) {
        // A daemon reads these files over and over.
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn parsed<T>(
        &mut self,
        path: &Path,
        expected: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let bytes = self.bytes(path)?;
        let parsed = parse(&bytes);
        if parsed.is_none() {
            let held = shortened(&String::from_utf8_lossy(&bytes));
            self.note(format!(
                "{} holds {held:?}, not {expected}: it was left out.",
                path.display()
            ));
        }
        parsed
    }

    fn failed(&mut self, path: &Path, error: io::Error) {
        match Failure::of(path, error, self.remedy) {
            Failure::Vanished => {}
            Failure::Read(error) => self.note(sentence(&error)),
        }
    }
}

/// An error and its causes as one sentence.
#[must_use]
pub fn sentence(error: &ReadError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if let Some(first) = text.get(..1) {
        text.replace_range(..1, &first.to_uppercase());
    }
    text.push('.');
    text
}

/// The beginning of what should have been short.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let text = text.trim_end();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
