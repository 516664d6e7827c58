//! Reads the small files of sysfs and procfs. They may be missing, may vanish
//! while they are read, and may contain unexpected text.
//!
//! There are two ways to handle errors: [`FileFailure`] for a system whose files
//! are all needed, and [`FileReader`] for one of several, where an unreadable
//! file leaves a field empty and adds a note.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{ReadError, Roots};

/// An attribute of sysfs fits a page, and the others read here are far smaller;
/// a larger file is cut off.
const LARGEST: u64 = 1 << 20;

/// Why something could not be read.
pub(super) enum FileFailure {
    /// Its directory was removed meanwhile.
    Vanished,
    Read(ReadError),
}

impl FileFailure {
    /// sysfs returns ENODEV for a file that was open when its directory was
    /// removed.
    pub(super) fn of(path: &Path, error: io::Error, remedy: &'static str) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NODEV) => Self::Vanished,
            _ => Self::Read(ReadError::from_io(path, error, remedy)),
        }
    }
}

/// An entry of a directory.
pub(super) struct DirectoryEntry {
    pub(super) name: OsString,
    pub(super) is_directory: bool,
}

impl DirectoryEntry {
    pub(super) fn lossy(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}

pub(super) fn list(directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
    fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok(DirectoryEntry {
                name: entry.file_name(),
                is_directory: entry.file_type()?.is_dir(),
            })
        })
        .collect()
}

/// The entries of a system's directory; `None` if it does not exist. A missing
/// root is an error, so that a mistyped one is reported.
pub(super) fn list_system(
    root: &Path,
    directory: &Path,
    remedy: &'static str,
) -> Result<Option<Vec<DirectoryEntry>>, ReadError> {
    match list(directory) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && root.is_dir() => Ok(None),
        Err(error) => Err(ReadError::from_io(directory, error, remedy)),
    }
}

/// The names of those entries that are directories, sorted.
pub(super) fn folders(entries: Vec<DirectoryEntry>) -> Vec<OsString> {
    let entries = entries.into_iter().filter(|entry| entry.is_directory);
    let mut names: Vec<OsString> = entries.map(|entry| entry.name).collect();
    names.sort();
    names
}

/// The bytes of a file, up to a size that no file read here has.
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

/// Parses `0x…`, as the kernel prints an address; 0 is a hidden or unknown one.
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

/// Whether this is one name in a directory, and leads to no other directory.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

/// The root of the host that this sysfs and procfs belong to: `/` for the
/// running host, `DIR` for `DIR/sys` and `DIR/proc`; `None` if unknown.
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

/// Reads files one by one; an error is noted and does not affect the other
/// files.
pub(super) struct FileReader<'a> {
    /// What to do to read more, for the notes.
    pub(super) remedy: &'static str,
    pub(super) notes: &'a mut Vec<String>,
}

impl FileReader<'_> {
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

    /// The entries of a directory; none if it is gone.
    pub(super) fn list(&mut self, directory: &Path) -> Vec<DirectoryEntry> {
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
        // A daemon reads these files again and again.
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
                "{} contains {held:?}, not {expected}: it was left out.",
                path.display()
            ));
        }
        parsed
    }

    fn failed(&mut self, path: &Path, error: io::Error) {
        match FileFailure::of(path, error, self.remedy) {
            FileFailure::Vanished => {}
            FileFailure::Read(error) => self.note(sentence(&error)),
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

/// The beginning of a text that should have been short.
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
