//! Module files in a folder, as `kpatch install` and distributions keep them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The most files that are returned, and folders that are read.
const FILES_MAX: usize = 1024;
const FOLDERS_MAX: usize = 256;

/// Module files found in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Sorted.
    pub files: Vec<PathBuf>,
    /// Why some may be missing, one sentence each.
    pub unread: Vec<String>,
}

/// The module files (`.ko`, packed or not) in `folder` and one level down:
/// kpatch keeps them in `/var/lib/kpatch/<release>/`. They are only found, not
/// opened; links are followed.
///
/// # Errors
/// The folder cannot be listed. A folder one level down is reported in
/// `unread`.
pub fn find_in(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut folders = Vec::new();
    for path in list(folder)? {
        if path.is_dir() {
            folders.push(path);
        } else {
            found.add(path);
        }
    }
    if folders.len() > FOLDERS_MAX {
        found.unread.push(format!(
            "only {FOLDERS_MAX} of the {} folders in {} were read",
            folders.len(),
            folder.display()
        ));
    }
    for folder in folders.into_iter().take(FOLDERS_MAX) {
        match list(&folder) {
            Ok(paths) => paths.into_iter().for_each(|path| found.add(path)),
            Err(error) => {
                let folder = folder.display();
                let sentence = format!("{folder} cannot be listed: {error}");
                found.unread.push(sentence);
            }
        }
    }
    found.files.sort_unstable();
    if found.files.len() > FILES_MAX {
        found.unread.push(format!(
            "only {FILES_MAX} of the {} modules in {} were read",
            found.files.len(),
            folder.display()
        ));
        found.files.truncate(FILES_MAX);
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, path: PathBuf) {
        if is_module_name(&path) && path.is_file() {
            self.files.push(path);
        }
    }
}

/// Sorted, so that a limit always leaves out the same.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

fn is_module_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    [&b".ko"[..], b".ko.gz", b".ko.xz", b".ko.zst"]
        .iter()
        .any(|ending| name.len() > ending.len() && name.ends_with(ending))
}
