//! The module files of a kernel: `/lib/modules/<release>` with the lists that
//! depmod(8) and the kernel's build keep there.
//!
//! `modules.dep` lists what modprobe would load: of two files of a name only
//! the one that depmod.d(5) prefers, often that in `updates`. `modules.order`
//! and `modules.builtin` come with the kernel and list its own modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The lists have about a megabyte; a larger file is not one.
const LARGEST: u64 = 64 << 20;

/// The endings of packed module files.
const ENDINGS: [&str; 4] = ["", ".xz", ".zst", ".gz"];

/// The modules of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleFiles {
    folder: PathBuf,
    /// By name, paths as in `modules.dep`.
    listed: BTreeMap<String, PathBuf>,
    /// By name, paths without the ending of a packed file.
    own: BTreeMap<String, PathBuf>,
    /// Names of modules that are built into the kernel; `None` if unknown.
    built_in: Option<BTreeSet<String>>,
}

impl ModuleFiles {
    /// Reads the lists in `folder`.
    ///
    /// # Errors
    /// `modules.dep` is missing or cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let dependencies = text(&folder.join("modules.dep"))?;
        let order = text(&folder.join("modules.order")).unwrap_or_default();
        let built_in = text(&folder.join("modules.builtin")).ok();
        let paths = dependencies
            .lines()
            .filter_map(|line| line.split_once(':').map(|(path, _)| path));
        Ok(Self {
            folder: folder.to_owned(),
            listed: by_name(paths),
            own: by_name(order.lines()),
            built_in: built_in.map(|text| by_name(text.lines()).into_keys().collect()),
        })
    }

    /// The file that modprobe would load for this name.
    #[must_use]
    pub fn preferred(&self, name: &str) -> Option<PathBuf> {
        self.listed.get(name).map(|path| self.folder.join(path))
    }

    /// The file of this name that belongs to the kernel's own tree.
    #[must_use]
    pub fn in_tree(&self, name: &str) -> Option<PathBuf> {
        let listed = self.listed.get(name);
        if let Some(path) = listed.filter(|path| path.starts_with("kernel")) {
            return Some(self.folder.join(path));
        }
        let path = self.own.get(name)?.to_str()?;
        let packed = ENDINGS.map(|ending| self.folder.join(format!("{path}{ending}")));
        packed.into_iter().find(|path| path.is_file())
    }

    /// Whether the kernel has this module built in; `None` if unknown.
    #[must_use]
    pub fn is_built_in(&self, name: &str) -> Option<bool> {
        Some(self.built_in.as_ref()?.contains(name))
    }

    /// The names of all modules, the kernel's own and others.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.listed.keys().chain(self.own.keys());
        names.map(String::as_str)
    }

    /// The kernel's own modules, by name.
    pub fn in_tree_listed(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let own = self.listed.iter();
        let own = own.filter(|(_, path)| path.starts_with("kernel"));
        own.map(|(name, path)| (name.as_str(), self.folder.join(path)))
    }
}

fn by_name<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeMap<String, PathBuf> {
    paths
        .filter_map(|path| Some((name(Path::new(path))?, PathBuf::from(path))))
        .collect()
}

/// The module name in a file's name: `nf-tables.ko.xz` is `nf_tables`.
#[must_use]
pub fn name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let mut packed = ENDINGS.iter().filter(|ending| !ending.is_empty());
    let unpacked = packed.find_map(|ending| name.strip_suffix(ending));
    let stem = unpacked.unwrap_or(name).strip_suffix(".ko")?;
    (!stem.is_empty()).then(|| stem.replace('-', "_"))
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_kernels_own_file_is_found_behind_one_that_is_preferred() {
        let folder = folder(&[
            (
                "modules.dep",
                "updates/dkms/fuse.ko: kernel/a.ko\nkernel/net/nf-tables.ko.xz:\nnonsense\n",
            ),
            ("modules.order", "kernel/fs/fuse/fuse.ko\nkernel/gone.ko\n"),
            ("modules.builtin", "kernel/lib/zlib-x.ko\n"),
            ("kernel/fs/fuse/fuse.ko.zst", ""),
        ]);
        let files = ModuleFiles::read(folder.path()).unwrap();
        let within = |path: &str| Some(folder.path().join(path));
        assert_eq!(files.preferred("fuse"), within("updates/dkms/fuse.ko"));
        assert_eq!(files.in_tree("fuse"), within("kernel/fs/fuse/fuse.ko.zst"));
        let tables = within("kernel/net/nf-tables.ko.xz");
        assert_eq!(files.in_tree("nf_tables"), tables);
        assert_eq!(files.in_tree("gone"), None);
        assert_eq!(files.preferred("other"), None);
        assert_eq!(files.is_built_in("zlib_x"), Some(true));
        assert_eq!(files.is_built_in("fuse"), Some(false));
        let own: Vec<_> = files.in_tree_listed().map(|(name, _)| name).collect();
        assert_eq!(own, ["nf_tables"]);
    }

    #[test]
    fn what_is_not_listed_is_not_known() {
        assert!(ModuleFiles::read(folder(&[]).path()).is_err());
        let folder = folder(&[("modules.dep", "")]);
        let files = ModuleFiles::read(folder.path()).unwrap();
        assert_eq!(files.is_built_in("fuse"), None);
        assert_eq!(files.in_tree("fuse"), None);
    }

    #[test]
    fn names_come_from_files() {
        let name = |path: &str| name(Path::new(path));
        assert_eq!(name("a/nf-tables.ko.gz").as_deref(), Some("nf_tables"));
        assert_eq!(name("x.ko").as_deref(), Some("x"));
        for bad in ["", ".ko", "x", "x.ko.bz2", "/"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
