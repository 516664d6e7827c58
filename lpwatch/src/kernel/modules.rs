//! Loaded modules, from `<sysfs>/module` (kernel/module/sysfs.c).

use std::{
    fs,
    path::{Path, PathBuf},
};

use object::{
    Endianness, elf,
    read::elf::{FileHeader, NoteIterator},
};

use super::{Roots, patch_file::PatchFile};

/// What sysfs shows for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Loaded,
    NotLoaded,
    /// Listed for its parameters only: it is built into the kernel.
    BuiltIn,
}

/// Identifies one build of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// A checksum of its sources; not all modules have one.
    pub srcversion: Option<String>,
    /// In hexadecimal.
    pub build_id: Option<String>,
}

/// How two builds compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Nothing differs, and something was compared.
    Same,
    /// The sources differ, or the builds differ and the sources are unknown.
    Different,
    /// The same sources, built again.
    Rebuilt,
    /// They have nothing that could be compared.
    NotKnown,
}

/// Whether the module of this name is loaded; `None` if sysfs does not list
/// modules. Built-in code with parameters is listed, too.
#[must_use]
pub fn is_loaded(roots: &Roots, name: &str) -> Option<bool> {
    Some(folder(roots, name)?.is_dir())
}

/// As [`is_loaded`], but distinguishes built-in code; `None` if sysfs does not
/// list modules.
#[must_use]
pub fn presence(roots: &Roots, name: &str) -> Option<Presence> {
    let folder = folder(roots, name)?;
    if !folder.is_dir() {
        return Some(Presence::NotLoaded);
    }
    // Only what was loaded has a state (mod_sysfs_setup).
    if folder.join("initstate").exists() {
        Some(Presence::Loaded)
    } else {
        Some(Presence::BuiltIn)
    }
}

/// The names of the loaded modules; none if sysfs does not list modules.
#[must_use]
pub fn loaded_names(roots: &Roots) -> Vec<String> {
    let Ok(entries) = fs::read_dir(roots.sysfs.join("module")) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| presence(roots, name) == Some(Presence::Loaded))
        .collect();
    names.sort_unstable();
    names
}

/// The letters of this module's taint, such as `OE`; `None` if unknown.
#[must_use]
pub fn taint(roots: &Roots, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder(roots, name)?.join("taint")).ok()?;
    Some(text.trim().to_owned())
}

fn folder(roots: &Roots, name: &str) -> Option<PathBuf> {
    let modules = roots.sysfs.join("module");
    // A name from elsewhere must not lead out of the directory.
    if name.is_empty() || name.contains('/') || name.starts_with('.') || !modules.is_dir() {
        return None;
    }
    Some(modules.join(name))
}

/// A file's only word.
fn word(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Build {
    /// The loaded module of this name, as far as sysfs shows it.
    #[must_use]
    pub fn loaded(roots: &Roots, name: &str) -> Self {
        let Some(folder) = folder(roots, name) else {
            return Self::default();
        };
        let note = fs::read(folder.join("notes/.note.gnu.build-id"));
        Self {
            srcversion: word(&folder.join("srcversion")),
            build_id: note.ok().as_deref().and_then(build_id),
        }
    }

    /// The build of a module file.
    #[must_use]
    pub fn of_file(file: &PatchFile) -> Self {
        Self {
            srcversion: file.modinfo.srcversion.clone(),
            build_id: file.build_id.clone(),
        }
    }

    #[must_use]
    pub fn compare(&self, other: &Self) -> Likeness {
        let equal =
            |one: &Option<String>, other: &Option<String>| Some(one.as_ref()? == other.as_ref()?);
        let sources = equal(&self.srcversion, &other.srcversion);
        let build = equal(&self.build_id, &other.build_id);
        match (sources, build) {
            (Some(false), _) | (None, Some(false)) => Likeness::Different,
            (Some(true), Some(false)) => Likeness::Rebuilt,
            (_, Some(true)) | (Some(true), None) => Likeness::Same,
            (None, None) => Likeness::NotKnown,
        }
    }
}

/// The build id of a note as sysfs gives it: that of the ELF section.
fn build_id(note: &[u8]) -> Option<String> {
    type ElfHeader = elf::FileHeader64<Endianness>;
    let endian = if cfg!(target_endian = "big") {
        Endianness::Big
    } else {
        Endianness::Little
    };
    let align = <ElfHeader as FileHeader>::Word::from(4_u32);
    let notes = NoteIterator::<ElfHeader>::new(endian, align, note).ok()?;
    let mut ids = notes.map_while(Result::ok).filter(|note| {
        note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID
    });
    let id = ids.next()?;
    let digits = id.desc().iter().map(|byte| format!("{byte:02x}"));
    Some(digits.collect()).filter(|id: &String| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Roots) {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: directory.path().to_owned(),
            ..Roots::default()
        };
        (directory, roots)
    }

    #[test]
    fn a_module_is_loaded_if_sysfs_lists_it() {
        let (directory, roots) = tree();
        assert_eq!(is_loaded(&roots, "fuse"), None);
        fs::create_dir_all(directory.path().join("module/fuse")).unwrap();
        assert_eq!(is_loaded(&roots, "fuse"), Some(true));
        assert_eq!(is_loaded(&roots, "nfs"), Some(false));
        assert_eq!(is_loaded(&roots, "../module"), None);
    }

    #[test]
    fn built_in_code_is_distinguished_from_a_module() {
        let (directory, roots) = tree();
        assert_eq!(presence(&roots, "fuse"), None);
        fs::create_dir_all(directory.path().join("module/fuse")).unwrap();
        fs::create_dir_all(directory.path().join("module/printk")).unwrap();
        fs::write(directory.path().join("module/fuse/initstate"), "live\n").unwrap();
        assert_eq!(presence(&roots, "fuse"), Some(Presence::Loaded));
        assert_eq!(presence(&roots, "printk"), Some(Presence::BuiltIn));
        assert_eq!(presence(&roots, "nfs"), Some(Presence::NotLoaded));
        assert_eq!(loaded_names(&roots), ["fuse"]);
    }

    #[test]
    fn the_loaded_build_is_read() {
        let (directory, roots) = tree();
        let fuse = directory.path().join("module/fuse");
        fs::create_dir_all(fuse.join("notes")).unwrap();
        assert_eq!(Build::loaded(&roots, "fuse"), Build::default());
        assert_eq!(taint(&roots, "fuse"), None);
        fs::write(fuse.join("taint"), "OE\n").unwrap();
        fs::write(fuse.join("srcversion"), "ABC\n").unwrap();
        let mut note = Vec::new();
        for word in [4_u32, 3, 3] {
            note.extend(word.to_ne_bytes());
        }
        note.extend(b"GNU\0\x0a\xff\x01\0");
        fs::write(fuse.join("notes/.note.gnu.build-id"), &note).unwrap();
        let build = Build::loaded(&roots, "fuse");
        assert_eq!(build.srcversion.as_deref(), Some("ABC"));
        assert_eq!(build.build_id.as_deref(), Some("0aff01"));
        assert_eq!(taint(&roots, "fuse").as_deref(), Some("OE"));
        for bad in [&note[..6], &note[..14], &[0xff; 16], &[]] {
            assert_eq!(build_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn builds_compare_by_what_both_have() {
        let build = |srcversion: Option<&str>, build_id: Option<&str>| Build {
            srcversion: srcversion.map(str::to_owned),
            build_id: build_id.map(str::to_owned),
        };
        let loaded = build(Some("A"), Some("1"));
        for (other, expected) in [
            (build(Some("A"), Some("1")), Likeness::Same),
            (build(Some("A"), None), Likeness::Same),
            (build(None, Some("1")), Likeness::Same),
            (build(Some("A"), Some("2")), Likeness::Rebuilt),
            (build(None, Some("2")), Likeness::Different),
            (build(Some("B"), Some("1")), Likeness::Different),
            (build(None, None), Likeness::NotKnown),
        ] {
            assert_eq!(loaded.compare(&other), expected, "{other:?}");
        }
    }
}
