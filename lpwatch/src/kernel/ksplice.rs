//! Updates of Ksplice: `<sysfs>/kernel/ksplice/<id>/`, or where Ksplice is not
//! part of the kernel `<sysfs>/module/ksplice_<id>/ksplice/`.
//!
//! - `stage`: `preparing`, `applied` or `reversed`;
//! - `abort_cause`: why the last attempt to apply or reverse it failed (`ok`);
//! - `conflicts`: see [`conflicts`];
//! - `debug`, `partial`: numbers.
//!
//! All have mode 0400 or 0600. `/var/run/ksplice/updates/<id>/description`
//! describes an update.
//!
//! Source: Ksplice 0.9.9, `kmodsrc/ksplice.c` (`stage_show`, `abort_cause_show`,
//! `conflict_show`), `Ksplice.pm` and `ksplice-apply`. Oracle's kernel part of
//! today is not public; its client is run by [`super::tool`].

use std::path::Path;

use strum::{Display, EnumString};

use super::files::{FileReader, folders, host_root, list_system};
use super::{ReadError, Roots};

pub mod abort_cause;
pub mod conflicts;

pub use abort_cause::AbortCause;
pub use conflicts::{Conflict, Conflicts};

const REMEDY: &str = "run as root (only root can read Ksplice's files)";

/// Of a description only the first line is shown.
const DESCRIPTION_MAX: usize = 500;

/// All updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// By id.
    pub updates: Vec<Update>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// One update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub id: String,
    pub stage: Option<UpdateStage>,
    /// `None` for `ok`, too.
    pub abort_cause: Option<AbortCause>,
    /// Tasks that held up the last attempt.
    pub conflicts: Conflicts,
    pub debug: Option<u32>,
    /// Applied only to the modules that are loaded.
    pub partial: Option<bool>,
    /// Its first line.
    pub description: Option<String>,
}

/// The stage of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum UpdateStage {
    /// Loaded, and not applied yet: Ksplice is trying, or has refused it.
    Preparing,
    Applied,
    Reversed,
}

/// Reads every update, from both places; `None` if neither has any.
///
/// # Errors
/// A place exists and cannot be listed, or the root does not exist.
pub fn read(roots: &Roots) -> Result<Option<Updates>, ReadError> {
    let inside = roots.sysfs.join("kernel/ksplice");
    let listed = list_system(&roots.sysfs, &inside, REMEDY)?;
    let here = listed.is_some();
    let mut found = Updates::default();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut found.notes,
    };
    let root = host_root(roots);
    let mut take = |reader: &mut FileReader<'_>, folder: &Path, id: String| {
        let update = update(reader, folder, id, root.as_deref());
        // A module that was unloaded meanwhile, or an update known by both
        // places.
        if folder.is_dir() && found.updates.iter().all(|known| known.id != update.id) {
            found.updates.push(update);
        }
    };
    for name in listed.map(folders).unwrap_or_default() {
        let id = name.to_string_lossy().into_owned();
        take(&mut reader, &inside.join(&name), id);
    }
    let modules = roots.sysfs.join("module");
    for name in reader.folders(&modules) {
        let folder = modules.join(&name).join("ksplice");
        let name = name.to_string_lossy();
        if let Some(id) = name.strip_prefix("ksplice_")
            && folder.is_dir()
        {
            // ksplice_<id>_vmlinux is a part of ksplice_<id>.
            let id = id.split(['_', '-']).next().unwrap_or(id);
            take(&mut reader, &folder, id.to_owned());
        }
    }
    found.updates.sort_by(|a, b| a.id.cmp(&b.id));
    Ok((here || !found.updates.is_empty()).then_some(found))
}

fn update(reader: &mut FileReader<'_>, folder: &Path, id: String, root: Option<&Path>) -> Update {
    let file = folder.join("conflicts");
    let conflicts = reader.bytes(&file).map(|page| Conflicts::parse(&page));
    let conflicts = conflicts.unwrap_or_default();
    if conflicts.maybe_cut {
        reader.note(format!(
            "{} fills its page: more tasks may hold the update up.",
            file.display()
        ));
    }
    if conflicts.unread > 0 {
        reader.note(format!(
            "{} has {} that lpwatch does not understand.",
            file.display(),
            if conflicts.unread == 1 {
                "a line"
            } else {
                "lines"
            }
        ));
    }
    let described = root.map(|root| root.join("var/run/ksplice/updates").join(&id));
    Update {
        stage: stage(reader, &folder.join("stage")),
        abort_cause: reader
            .word(&folder.join("abort_cause"))
            .and_then(|word| AbortCause::parse(&word)),
        conflicts,
        debug: reader.number(&folder.join("debug")),
        partial: reader
            .number(&folder.join("partial"))
            .map(|partial| partial != 0),
        description: described.and_then(|folder| description(reader, &folder)),
        id,
    }
}

fn stage(reader: &mut FileReader<'_>, file: &Path) -> Option<UpdateStage> {
    let word = reader.word(file)?;
    let stage = word.parse().ok();
    if stage.is_none() {
        reader.note(format!(
            "{} contains {word:?}, a stage that lpwatch does not know.",
            file.display()
        ));
    }
    stage
}

fn description(reader: &mut FileReader<'_>, folder: &Path) -> Option<String> {
    let text = reader.text(&folder.join("description"))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(DESCRIPTION_MAX).collect())
}

#[cfg(test)]
mod tests;
