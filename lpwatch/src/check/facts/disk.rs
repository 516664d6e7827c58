//! The folders outside `/sys` and `/proc` that contain the kernel's modules and
//! the patch files.

use std::path::{Path, PathBuf};

use crate::kernel::{Roots, module_files::ModuleFiles};

/// Below `/lib/modules/<release>`, where distributions and kpatch store patches.
const PATCHES: [&str; 4] = ["updates", "extra", "livepatch", "weak-updates"];

/// Where kpatch installs patches, in one folder for each kernel release.
const KPATCH: &str = "/var/lib/kpatch";

/// The module and patch folders of this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's modules; `None` if unknown.
    pub modules: Option<ModuleFiles>,
    /// Where to look for the files of loaded patches.
    pub patch_folders: Vec<PathBuf>,
}

impl Disk {
    /// For the running kernel of this release. With a recorded tree, only
    /// `beside` is used: the folder of the file to check.
    #[must_use]
    pub fn of(roots: &Roots, release: &str, beside: Option<&Path>) -> Self {
        let mut disk = Self::default();
        if roots.is_live() && !release.is_empty() && !release.contains('/') {
            disk = Self::at(&Path::new("/lib/modules").join(release));
            disk.patch_folders.push(Path::new(KPATCH).join(release));
        }
        // First, because the old patches are often in the folder of the new one.
        disk.patch_folders.splice(0..0, beside.map(Path::to_owned));
        disk
    }

    /// For the kernel whose modules are in this folder.
    #[must_use]
    pub fn at(modules: &Path) -> Self {
        Self {
            modules: ModuleFiles::read(modules).ok(),
            patch_folders: PATCHES.map(|folder| modules.join(folder)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_tree_is_not_answered_from_this_hosts_disk() {
        let roots = Roots {
            sysfs: PathBuf::from("/nonexistent"),
            ..Roots::default()
        };
        assert_eq!(Disk::of(&roots, "6.12.1", None), Disk::default());
        let beside = Path::new("/patches");
        let disk = Disk::of(&roots, "6.12.1", Some(beside));
        assert_eq!(
            (disk.modules, disk.patch_folders),
            (None, vec![beside.to_owned()])
        );
    }

    #[test]
    fn the_running_kernels_folders_are_by_its_release() {
        let disk = Disk::of(&Roots::default(), "0.0-none", None);
        assert!(disk.modules.is_none());
        let kpatch = PathBuf::from("/var/lib/kpatch/0.0-none");
        assert!(disk.patch_folders.contains(&kpatch));
        let strange = Disk::of(&Roots::default(), "../..", None);
        assert_eq!(strange, Disk::default());
    }
}
