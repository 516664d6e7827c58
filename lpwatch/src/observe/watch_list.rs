//! Which functions are counted before their patch is loaded: those named, and
//! those of patches on disk.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    kernel::{
        kallsyms::VMLINUX,
        patch_file::{PatchFile, find_in},
    },
    model::calls::FunctionId,
};

/// Where kpatch installs patches, in one folder per kernel release.
const KPATCH: &str = "/var/lib/kpatch";

/// A value of `--watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    Function(FunctionId),
    /// A patch, or a folder of patches.
    Path(PathBuf),
}

impl FromStr for Watch {
    type Err = String;

    /// `NAME`, `MODULE:NAME`, or a path: a text with a slash, with the ending
    /// of a module file, or the name of a folder.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give a function, a patch (.ko) or a folder of patches".to_owned());
        }
        let is_module = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"]
            .iter()
            .any(|ending| text.ends_with(ending));
        if text.contains('/') || is_module || Path::new(text).is_dir() {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        let (object, name) = text.split_once(':').unwrap_or((VMLINUX, text));
        if object.is_empty() || name.is_empty() {
            return Err("a module's function is written MODULE:NAME".to_owned());
        }
        // The kernel turns `-` into `_` in names of modules.
        let object = object.replace('-', "_");
        Ok(Self::Function(FunctionId::new(&object, name, 1)))
    }
}

/// All values of `--watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchList {
    watches: Vec<Watch>,
}

/// The functions of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub functions: BTreeSet<FunctionId>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

impl WatchList {
    /// The list; without values, the patches that kpatch has installed for this
    /// kernel.
    #[must_use]
    pub fn or_installed(watches: Vec<Watch>, release: &str) -> Self {
        if watches.is_empty() && !release.is_empty() && !release.contains('/') {
            let folder = Path::new(KPATCH).join(release);
            return Self {
                watches: vec![Watch::Path(folder)],
            };
        }
        Self { watches }
    }

    /// The files and folders to read again when they change.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let paths = self.watches.iter().filter_map(|watch| match watch {
            Watch::Path(path) => Some(path.as_path()),
            Watch::Function(_) => None,
        });
        paths.collect()
    }

    /// Reads the files as they are now.
    pub(super) fn resolve(&self) -> Resolved {
        let mut resolved = Resolved::default();
        for watch in &self.watches {
            match watch {
                Watch::Function(function) => {
                    resolved.functions.insert(function.clone());
                }
                Watch::Path(path) if path.is_dir() => resolved.add_folder(path),
                // kpatch creates its folder with the first patch.
                Watch::Path(path) if path.starts_with(KPATCH) && !path.exists() => {}
                Watch::Path(path) => resolved.add_file(path),
            }
        }
        resolved
    }
}

impl Resolved {
    fn add_folder(&mut self, folder: &Path) {
        match find_in(folder) {
            Ok(found) => {
                for file in &found.files {
                    self.add_file(file);
                }
                let unread = found.unread.into_iter();
                self.notes
                    .extend(unread.map(|why| format!("The daemon's --watch: {why}.")));
            }
            Err(error) => self.notes.push(format!(
                "The daemon's --watch: {} cannot be listed: {error}.",
                folder.display()
            )),
        }
    }

    fn add_file(&mut self, path: &Path) {
        let file = match PatchFile::read(path) {
            Ok(file) => file,
            Err(error) => {
                let error = anyhow::Error::from(error);
                self.notes.push(format!("The daemon's --watch: {error:#}."));
                return;
            }
        };
        for object in &file.objects {
            let functions = object.functions.iter();
            self.functions
                .extend(functions.map(|function| {
                    FunctionId::new(&object.name, &function.name, function.sympos)
                }));
        }
        if file.objects.is_empty() {
            self.notes.push(format!(
                "The daemon's --watch: no function of a patch was found in {}.",
                path.display()
            ));
        }
        let unread = file.unread.iter();
        self.notes
            .extend(unread.map(|why| format!("The daemon's --watch: {}: {why}.", path.display())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_distinguished_from_files() {
        let function = |object: &str, name: &str| {
            Ok(Watch::Function(FunctionId {
                object: object.to_owned(),
                name: name.to_owned(),
                sympos: 1,
            }))
        };
        assert_eq!("gcd".parse(), function("vmlinux", "gcd"));
        assert_eq!(
            "nf-tables:nft_do_chain".parse(),
            function("nf_tables", "nft_do_chain")
        );
        for path in ["/var/lib/patches", "./x", "fix.ko", "fix.ko.zst"] {
            assert_eq!(path.parse(), Ok(Watch::Path(PathBuf::from(path))));
        }
        for bad in ["", ":f", "m:"] {
            assert!(bad.parse::<Watch>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_installed_patches_are_the_default() {
        let list = WatchList::or_installed(Vec::new(), "6.12.1");
        assert_eq!(list.paths(), [Path::new("/var/lib/kpatch/6.12.1")]);
        let asked = vec!["gcd".parse().unwrap()];
        assert!(WatchList::or_installed(asked, "6.12.1").paths().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.ko"), "no module").unwrap();
        let list = WatchList {
            watches: vec![
                Watch::Path(folder.path().to_owned()),
                Watch::Path(folder.path().join("missing.ko")),
                "gcd".parse().unwrap(),
            ],
        };
        let Resolved { functions, notes } = list.resolve();
        assert_eq!((functions.len(), notes.len()), (1, 2), "{notes:?}");
        assert!(notes[0].contains("bad.ko"), "{notes:?}");
        // A note is also shown by commands with a flag of that name.
        let is_daemons = |note: &String| note.starts_with("The daemon's --watch: ");
        assert!(notes.iter().all(is_daemons), "{notes:?}");
    }
}
