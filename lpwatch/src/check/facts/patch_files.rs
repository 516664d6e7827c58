//! The files of loaded patches, which contain more than sysfs shows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::kernel::{
    Roots,
    module_files::name,
    modules::{Build, Likeness},
    patch_file::{PatchFile, find_in},
};

use super::disk::Disk;

/// The most files to open for one patch.
const FILES_MAX: usize = 8;

/// The file of each of these patches: with the same name, and not of another
/// build than the loaded one. A patch without such a file has no entry.
pub(super) fn find<'a>(
    roots: &Roots,
    disk: &Disk,
    names: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, PatchFile> {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return BTreeMap::new();
    }
    let folders = disk.patch_folders.iter();
    let files: Vec<PathBuf> = folders
        .filter_map(|folder| find_in(folder).ok())
        .flat_map(|found| found.files)
        .collect();
    let found = names.filter_map(|name| Some((name.to_owned(), file(roots, disk, &files, name)?)));
    found.collect()
}

fn file(roots: &Roots, disk: &Disk, files: &[PathBuf], patch: &str) -> Option<PatchFile> {
    let loaded = Build::loaded(roots, patch);
    let listed = disk
        .modules
        .as_ref()
        .and_then(|files| files.preferred(patch));
    let found = files
        .iter()
        .filter(|file| name(file).as_deref() == Some(patch));
    let candidates = listed.iter().chain(found).take(FILES_MAX);
    candidates
        .filter_map(|file| PatchFile::read(Path::new(file)).ok())
        .find(|file| {
            let likeness = Build::of_file(file).compare(&loaded);
            let fits = matches!(likeness, Likeness::Same | Likeness::NotKnown);
            fits && file.name == patch
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kernel::patch_file::tests::module_of;

    fn patch(name: &str, srcversion: &str) -> Vec<u8> {
        let (name, srcversion) = (format!("name={name}"), format!("srcversion={srcversion}"));
        module_of(&["livepatch=Y", &name, &srcversion])
    }

    #[test]
    fn the_build_that_is_loaded_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let within = |path: &str| folder.path().join(path);
        let roots = Roots {
            sysfs: within("sys"),
            procfs: within("proc"),
        };
        for path in ["sys/module/fix", "old", "new/deeper"] {
            fs::create_dir_all(within(path)).unwrap();
        }
        fs::write(within("sys/module/fix/srcversion"), "TWO\n").unwrap();
        fs::write(within("old/fix.ko"), patch("fix", "ONE")).unwrap();
        fs::write(within("old/other.ko"), patch("other", "TWO")).unwrap();
        fs::write(within("new/deeper/fix.ko"), "no module").unwrap();
        let disk = Disk {
            modules: None,
            patch_folders: ["missing", "old", "new"].map(within).into(),
        };
        let names = ["fix", "none"];
        assert!(find(&roots, &disk, names.into_iter()).is_empty());
        fs::write(within("new/deeper/fix.ko"), patch("fix", "TWO")).unwrap();
        let found = find(&roots, &disk, names.into_iter());
        let found: Vec<_> = found
            .iter()
            .map(|(name, file)| (name, &file.name))
            .collect();
        assert_eq!(found, [(&"fix".to_owned(), &"fix".to_owned())]);
    }
}
