//! Live patches as sysfs shows them: `<sysfs>/kernel/livepatch/<patch>/`.
//!
//! Source: `Documentation/ABI/testing/sysfs-kernel-livepatch` and
//! `kernel/livepatch/core.c`, 4.0 to 7.3. A patch's directory comes and goes
//! while it is read (it is removed when the patch is disabled or replaced);
//! such a patch is left out, never an error.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{
    DirectoryEntry, FileFailure, bytes, is_plain, list, list_system, parse_flag, parse_function,
    parse_number,
};
use super::{ReadError, Roots};

const REMEDY: &str = "sysfs must be readable; all users can read the livepatch files unless a security module or a sandbox hides them";

/// One patch, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFiles {
    /// The patch module's name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The state that the patch has or moves to: false while and after it is
    /// disabled (4.0).
    pub enabled: Option<bool>,
    /// A transition of this patch is under way (4.12).
    pub transition: Option<bool>,
    /// The patch replaces all earlier ones (6.11).
    pub replace: Option<bool>,
    /// Its place in the stack of patches, from 1 (6.14).
    pub stack_order: Option<u32>,
    /// What it patches, by name.
    pub objects: Vec<ObjectFiles>,
}

/// What a patch changes in one object: `vmlinux` or a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFiles {
    pub name: String,
    /// The object's code is redirected; false while its module is not loaded
    /// (6.1).
    pub patched: Option<bool>,
    /// Name, and which of the object's symbols of this name, from 1; sorted.
    pub functions: Vec<(String, u32)>,
}

/// Reads every patch, in the order of the stack if all patches have it (6.14),
/// otherwise by name.
///
/// `None` means that the directory does not exist: the kernel has no
/// `CONFIG_LIVEPATCH`. A missing or malformed file is a `None` field. Reading
/// `stack_order` takes the kernel's `klp_mutex`, which a callback of a patch can keep for
/// long: on a live host it is left out unless all patches are at rest.
///
/// # Errors
/// The root does not exist, or the directory or a file below it exists and
/// cannot be read.
pub fn read_patches(roots: &Roots) -> Result<Option<Vec<PatchFiles>>, ReadError> {
    let directory = livepatch_directory(roots);
    let Some(names) = list_system(&roots.sysfs, &directory, REMEDY)? else {
        return Ok(None);
    };
    let mut patches = Vec::with_capacity(names.len());
    for entry in names.into_iter().filter(|entry| entry.is_directory) {
        match read_patch(&directory.join(&entry.name), &entry.lossy()) {
            Ok(patch) => patches.push(patch),
            Err(FileFailure::Vanished) => {}
            Err(FileFailure::Read(error)) => return Err(error),
        }
    }
    // A recorded tree can always be read.
    if !roots.is_live() || patches.iter().all(PatchFiles::is_settled) {
        for patch in &mut patches {
            patch.stack_order = stack_order(&directory.join(&patch.name));
        }
    }
    if patches.iter().all(|patch| patch.stack_order.is_some()) {
        patches.sort_by(|a, b| (a.stack_order, &a.name).cmp(&(b.stack_order, &b.name)));
    } else {
        patches.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(Some(patches))
}

impl PatchFiles {
    /// Whether the kernel does nothing with it, as far as its files show. While a callback
    /// of a patch runs, `klp_mutex` is held. The folder of a patch that is being enabled is
    /// there before its transition is (`klp_init_patch`), and `enabled` is 0 until
    /// `pre_patch` has returned (`__klp_enable_patch`, kernel/livepatch/core.c, 5.10 to
    /// 7.3).
    fn is_settled(&self) -> bool {
        self.transition != Some(true) && self.enabled != Some(false)
    }
}

/// Whether the patch has a `transition` file; openEuler's own patches and
/// kernels before 4.12 have none. It is not opened.
#[must_use]
pub fn has_transition(roots: &Roots, patch: &str) -> bool {
    // A name from a table must not lead out of the directory.
    let folder = livepatch_directory(roots);
    is_plain(patch) && folder.join(patch).join("transition").is_file()
}

fn livepatch_directory(roots: &Roots) -> PathBuf {
    roots.sysfs.join("kernel/livepatch")
}

/// `None` on kernels before 6.14, and for a patch that has just gone.
fn stack_order(directory: &Path) -> Option<u32> {
    let text = read_file(&directory.join("stack_order")).ok()??;
    parse_number(&text)
}

fn read_patch(directory: &Path, name: &str) -> Result<PatchFiles, FileFailure> {
    let mut patch = PatchFiles {
        name: name.to_owned(),
        enabled: read_flag(&directory.join("enabled"))?,
        transition: read_flag(&directory.join("transition"))?,
        replace: read_flag(&directory.join("replace"))?,
        stack_order: None,
        objects: Vec::new(),
    };
    for entry in list_or_vanished(directory)? {
        if !entry.is_directory {
            continue;
        }
        match read_object(&directory.join(&entry.name), &entry.lossy()) {
            Ok(object) => patch.objects.push(object),
            // Atomic replace ends by removing the objects it only had to
            // revert (klp_free_objects_dynamic); the patch itself stays.
            Err(FileFailure::Vanished) => {}
            Err(error) => return Err(error),
        }
    }
    patch.objects.sort_by(|a, b| a.name.cmp(&b.name));
    // A file that is missing because the whole patch went away while it was
    // read looks like one this kernel does not have.
    if directory.is_dir() {
        Ok(patch)
    } else {
        Err(FileFailure::Vanished)
    }
}

fn read_object(directory: &Path, name: &str) -> Result<ObjectFiles, FileFailure> {
    // A function is an empty directory in sysfs; a tree kept in git can only
    // hold it as a file or with a file in it, so the name alone decides.
    let mut functions: Vec<(String, u32)> = list_or_vanished(directory)?
        .iter()
        .filter_map(function)
        .collect();
    functions.sort();
    Ok(ObjectFiles {
        name: name.to_owned(),
        patched: read_flag(&directory.join("patched"))?,
        functions,
    })
}

/// `name,sympos`; before 4.5 the name alone, of which there could be but one.
fn function(entry: &DirectoryEntry) -> Option<(String, u32)> {
    let label = entry.lossy();
    match parse_function(&label) {
        Some((name, sympos)) => Some((name.to_owned(), sympos)),
        None if entry.is_directory && !label.contains(',') => Some((label, 1)),
        None => None,
    }
}

fn read_flag(path: &Path) -> Result<Option<bool>, FileFailure> {
    Ok(read_file(path)?.and_then(|text| parse_flag(&text)))
}

/// Reads a file this kernel may not have.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, FileFailure> {
    match bytes(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileFailure::of(path, error, REMEDY)),
    }
}

fn list_or_vanished(directory: &Path) -> Result<Vec<DirectoryEntry>, FileFailure> {
    list(directory).map_err(|error| FileFailure::of(directory, error, REMEDY))
}

#[cfg(test)]
mod tests;
