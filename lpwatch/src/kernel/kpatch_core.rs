//! Patches of kpatch's own core module, from before livepatch:
//! `<sysfs>/kernel/kpatch`.
//!
//! There are three forms, recognized by the files that exist:
//! - v0.1: `patches/<module>/enabled` alone;
//! - v0.2 and v0.3: also `functions/<function>/{old_addr,new_addr}`, from v0.3 `checksum`; the object of a function is unknown;
//! - v0.4 on: `<module>/{enabled,checksum}` and `<module>/<object>/<function,sympos>/{old_addr,new_addr}`.
//!
//! Source: dynup/kpatch, `kmod/core/core.c` and `kmod/patch/kpatch-patch-hook.c`
//! of these versions. The addresses are mode 0400. A patch that was refused
//! leaves nothing here, only lines in the log.

use std::path::Path;

use super::files::{FileReader, folders, list_system, parse_address, parse_function};
use super::{ReadError, Roots};

const REMEDY: &str = "run as root (the addresses are mode 0400)";

/// All patches of the core module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorePatches {
    /// By name.
    pub patches: Vec<CorePatch>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// One patch module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePatch {
    pub name: String,
    /// Whether its functions replace the old ones; once disabled it cannot be
    /// enabled again.
    pub enabled: Option<bool>,
    /// Of its contents (v0.3).
    pub checksum: Option<String>,
    /// By object and name; empty in v0.1, which does not show them.
    pub functions: Vec<CoreFunction>,
}

/// One patched function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoreFunction {
    /// `vmlinux` or a module; `None` before v0.4, which does not show it.
    pub object: Option<String>,
    pub name: String,
    /// Which of the object's symbols of this name, from 1 (v0.4, else 1).
    pub sympos: u32,
    pub old_address: Option<u64>,
    pub new_address: Option<u64>,
}

/// Reads every patch; `None` where the core module is not loaded.
///
/// # Errors
/// The directory exists and cannot be listed, or the root does not exist.
pub fn read(roots: &Roots) -> Result<Option<CorePatches>, ReadError> {
    let directory = roots.sysfs.join("kernel/kpatch");
    let Some(entries) = list_system(&roots.sysfs, &directory, REMEDY)? else {
        return Ok(None);
    };
    let mut found = CorePatches::default();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut found.notes,
    };
    let old = entries
        .iter()
        .any(|entry| entry.is_directory && entry.name == "patches");
    let (base, names) = if old {
        let base = directory.join("patches");
        let names = reader.folders(&base);
        (base, names)
    } else {
        (directory, folders(entries))
    };
    for name in names {
        let folder = base.join(&name);
        let name = name.to_string_lossy().into_owned();
        let patch = patch(&mut reader, &folder, name, old);
        // It was unloaded while it was read.
        if folder.is_dir() {
            found.patches.push(patch);
        }
    }
    Ok(Some(found))
}

fn patch(reader: &mut FileReader<'_>, folder: &Path, name: String, old: bool) -> CorePatch {
    let mut functions = Vec::new();
    for object in reader.folders(folder) {
        let below = folder.join(&object);
        let object = (!old).then(|| object.to_string_lossy().into_owned());
        for entry in reader.folders(&below) {
            let files = below.join(&entry);
            let entry = entry.to_string_lossy();
            // Before v0.4 there is no position, and no comma in a name.
            let (function, sympos) = parse_function(&entry).unwrap_or((&entry, 1));
            functions.push(CoreFunction {
                object: object.clone(),
                name: function.to_owned(),
                sympos,
                old_address: address(reader, &files.join("old_addr")),
                new_address: address(reader, &files.join("new_addr")),
            });
        }
    }
    functions.sort();
    CorePatch {
        name,
        enabled: reader.flag(&folder.join("enabled")),
        checksum: reader.word(&folder.join("checksum")),
        functions,
    }
}

fn address(reader: &mut FileReader<'_>, file: &Path) -> Option<u64> {
    parse_address(&reader.bytes(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::files::tests::FakeHost;

    fn function(object: Option<&str>, name: &str, sympos: u32) -> CoreFunction {
        CoreFunction {
            object: object.map(str::to_owned),
            name: name.to_owned(),
            sympos,
            old_address: Some(0xffff_ffff_8100_0000),
            new_address: Some(0xffff_ffff_c000_0000),
        }
    }

    const OLD: &str = "0xffffffff81000000\n";
    const NEW: &str = "0xffffffffc0000000\n";

    #[test]
    fn the_form_of_today_tells_objects_and_positions() {
        let host = FakeHost::new(&[
            ("sys/kernel/kpatch/kpatch_a/enabled", "1\n"),
            ("sys/kernel/kpatch/kpatch_a/checksum", "8a1f\n"),
            ("sys/kernel/kpatch/kpatch_a/vmlinux/f,2/old_addr", OLD),
            ("sys/kernel/kpatch/kpatch_a/vmlinux/f,2/new_addr", NEW),
            ("sys/kernel/kpatch/kpatch_a/ext4/g,1/old_addr", OLD),
            ("sys/kernel/kpatch/kpatch_a/ext4/g,1/new_addr", NEW),
            ("sys/kernel/kpatch/kpatch_b/enabled", "0\n"),
        ]);
        let found = read(&host.roots).unwrap().unwrap();
        assert_eq!(found.notes, [""; 0]);
        assert_eq!(found.patches.len(), 2);
        assert_eq!(found.patches[0].enabled, Some(true));
        assert_eq!(found.patches[0].checksum.as_deref(), Some("8a1f"));
        let expected = [
            function(Some("ext4"), "g", 1),
            function(Some("vmlinux"), "f", 2),
        ];
        assert_eq!(found.patches[0].functions, expected);
        assert_eq!(found.patches[1].enabled, Some(false));
    }

    #[test]
    fn the_forms_of_before_leave_out_what_they_do_not_tell() {
        let first = FakeHost::new(&[("sys/kernel/kpatch/patches/kpatch_a/enabled", "1\n")]);
        let found = read(&first.roots).unwrap().unwrap();
        assert_eq!(
            found.patches,
            [CorePatch {
                name: "kpatch_a".to_owned(),
                enabled: Some(true),
                checksum: None,
                functions: Vec::new(),
            }]
        );
        let second = FakeHost::new(&[
            ("sys/kernel/kpatch/patches/kpatch_a/enabled", "1\n"),
            (
                "sys/kernel/kpatch/patches/kpatch_a/functions/f/old_addr",
                OLD,
            ),
            (
                "sys/kernel/kpatch/patches/kpatch_a/functions/f/new_addr",
                NEW,
            ),
        ]);
        let found = read(&second.roots).unwrap().unwrap();
        assert_eq!(found.patches[0].functions, [function(None, "f", 1)]);
    }

    #[test]
    fn what_is_odd_leaves_a_field_out_and_a_note_behind() {
        let host = FakeHost::new(&[
            ("sys/kernel/kpatch/a/enabled", "perhaps\n"),
            ("sys/kernel/kpatch/a/vmlinux/f,1/old_addr", "0x0\n"),
            ("sys/kernel/kpatch/a/vmlinux/f,1/new_addr", "0xfff"),
            ("sys/kernel/kpatch/b/", ""),
        ]);
        let found = read(&host.roots).unwrap().unwrap();
        assert_eq!(found.patches[0].enabled, None);
        assert_eq!(found.patches[0].functions[0].old_address, None);
        assert_eq!(found.patches[0].functions[0].new_address, Some(0xfff));
        assert_eq!(found.patches[1].enabled, None, "it is being loaded");
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    }

    #[test]
    fn without_the_core_module_there_is_nothing_and_a_wrong_root_is_reported() {
        let mut host = FakeHost::new(&[]);
        assert_eq!(read(&host.roots).unwrap(), None);
        host.roots.sysfs.push("mistyped");
        assert!(read(&host.roots).is_err());
    }
}
