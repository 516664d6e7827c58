//! Installed patch files, loaded or not: kpatch's `/var/lib/kpatch/<kernel
//! release>/*.ko`, which its script loads at boot.
//!
//! Source: dynup/kpatch, `kpatch/kpatch` (`INSTALLDIR`, `kpatch list`, `kpatch
//! install`).

use std::path::{Path, PathBuf};

use super::files::{FileReader, host_root};
use super::patch_file::{PatchFile, SIZE_MAX};
use super::{Roots, module_files, modules, modules::Likeness};

const REMEDY: &str = "run as root";
const KPATCH: &str = "var/lib/kpatch";

/// Where others than kpatch install patches, below `/lib/modules/<release>`.
const DISTRIBUTION: [&str; 4] = ["updates", "extra", "livepatch", "weak-updates"];

/// More files than this in one folder are not patches.
const FILES_MAX: usize = 1000;

/// What kpatch has installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// kpatch has a folder on this host.
    pub kpatch: bool,
    /// By release and name.
    pub files: Vec<InstalledFile>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// One installed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFile {
    /// The name of its module once loaded.
    pub name: String,
    pub file: PathBuf,
    /// The kernel release whose folder contains it.
    pub release: String,
    /// The release it was built for; `None` if unknown.
    pub built_for: Option<String>,
    pub standing: InstalledState,
}

/// How an installed file and the running kernel agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstalledState {
    /// Its module is loaded.
    Loaded,
    /// A module of its name is loaded, from another build.
    OtherBuildLoaded,
    /// It is for this kernel, and not loaded.
    NotLoaded,
    /// It is in this kernel's folder and was built for another: it cannot be
    /// loaded.
    WrongKernel,
    /// It is for another kernel.
    OtherKernel,
}

/// Reads kpatch's folder of the host whose running kernel is `release`; nothing
/// if the host's root folder is unknown.
#[must_use]
pub fn read(roots: &Roots, release: &str) -> Installed {
    let mut installed = Installed::default();
    let Some(root) = host_root(roots) else {
        return installed;
    };
    let folder = root.join(KPATCH);
    installed.kpatch = folder.is_dir();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut installed.notes,
    };
    for kernel in reader.folders(&folder) {
        let below = folder.join(&kernel);
        let kernel = kernel.to_string_lossy().into_owned();
        for file in module_files_in(&mut reader, &below) {
            if let Some(name) = module_files::name(&file) {
                let found = examine(&mut reader, roots, file, (name, &kernel), release);
                installed.files.push(found);
            }
        }
    }
    installed
}

/// Whether a file of this module is where distributions install patches for
/// this kernel; `None` if unknown.
#[must_use]
pub fn by_distribution(roots: &Roots, release: &str, module: &str) -> Option<bool> {
    let root = host_root(roots).filter(|_| super::files::is_plain(release))?;
    let modules = root.join("lib/modules").join(release);
    let lists = module_files::ModuleFiles::read(&modules);
    if lists.is_ok_and(|lists| lists.preferred(module).is_some()) {
        return Some(true);
    }
    let mut notes = Vec::new();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut notes,
    };
    let mut files = DISTRIBUTION
        .iter()
        .flat_map(|folder| module_files_in(&mut reader, &modules.join(folder)));
    let found = files.any(|file| module_files::name(&file).as_deref() == Some(module));
    modules.is_dir().then_some(found)
}

fn module_files_in(reader: &mut FileReader<'_>, folder: &Path) -> Vec<PathBuf> {
    let entries = reader.list(folder);
    let files = entries.iter().filter(|entry| !entry.is_directory);
    let mut files: Vec<PathBuf> = files.map(|entry| folder.join(&entry.name)).collect();
    files.sort();
    files.truncate(FILES_MAX);
    files
}

fn examine(
    reader: &mut FileReader<'_>,
    roots: &Roots,
    file: PathBuf,
    (name, release): (String, &str),
    running: &str,
) -> InstalledFile {
    let size = std::fs::metadata(&file).map_or(0, |file| file.len());
    let read = (size <= SIZE_MAX).then(|| PatchFile::read(&file));
    let module = match read {
        Some(Ok(module)) => Some(module),
        Some(Err(error)) => {
            reader.note(format!(
                "Only the name of {} is known: {}.",
                file.display(),
                error.problem
            ));
            None
        }
        None => None,
    };
    // The name of a file may differ from that of its module.
    let name = module.as_ref().map_or(name, |module| module.name.clone());
    let built_for = module
        .as_ref()
        .and_then(|module| module.modinfo.kernel_release().map(str::to_owned));
    let loaded = modules::is_loaded(roots, &name) == Some(true);
    let like = module.as_ref().map(|module| {
        modules::Build::loaded(roots, &name).compare(&modules::Build::of_file(module))
    });
    let standing = if release != running {
        InstalledState::OtherKernel
    } else if loaded && like == Some(Likeness::Different) {
        InstalledState::OtherBuildLoaded
    } else if loaded {
        InstalledState::Loaded
    } else if built_for.as_deref().is_some_and(|built| built != running) {
        InstalledState::WrongKernel
    } else {
        InstalledState::NotLoaded
    };
    InstalledFile {
        name,
        file,
        release: release.to_owned(),
        built_for,
        standing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::files::tests::FakeHost;

    fn standings(host: &FakeHost) -> Vec<(String, InstalledState)> {
        let installed = read(&host.roots, "5.14.0-1.el9");
        let files = installed.files.into_iter();
        files.map(|file| (file.name, file.standing)).collect()
    }

    #[test]
    fn files_are_held_against_what_is_loaded_and_running() {
        let host = FakeHost::new(&[
            ("var/lib/kpatch/5.14.0-1.el9/kpatch-a.ko", ""),
            ("var/lib/kpatch/5.14.0-1.el9/kpatch-b.ko.xz", "no module"),
            ("var/lib/kpatch/5.14.0-1.el9/README", ""),
            ("var/lib/kpatch/5.14.0-2.el9/kpatch-a.ko", ""),
            ("sys/module/kpatch_a/initstate", "live\n"),
        ]);
        let expected = [
            ("kpatch_a".to_owned(), InstalledState::Loaded),
            ("kpatch_b".to_owned(), InstalledState::NotLoaded),
            ("kpatch_a".to_owned(), InstalledState::OtherKernel),
        ];
        assert_eq!(standings(&host), expected);
        let notes = read(&host.roots, "5.14.0-1.el9").notes;
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].starts_with("Only the name of "), "{notes:?}");
    }

    #[test]
    fn a_module_of_another_kernel_in_this_ones_folder_is_reported() {
        let trees = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/modules");
        let file = std::fs::read(trees.join("6.1-lp_calls.ko")).unwrap();
        let host = FakeHost::new(&[]);
        host.write("var/lib/kpatch/5.14.0-1.el9/other-name.ko", file);
        let expected = [("lp_calls".to_owned(), InstalledState::WrongKernel)];
        assert_eq!(standings(&host), expected);
        let mut note: Vec<u8> = [4_u32, 4, 3]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        note.extend(b"GNU\0\x01\x02\x03\x04");
        host.write("sys/module/lp_calls/notes/.note.gnu.build-id", note);
        let expected = [("lp_calls".to_owned(), InstalledState::OtherBuildLoaded)];
        assert_eq!(standings(&host), expected);
    }

    #[test]
    fn no_folder_is_no_kpatch() {
        let host = FakeHost::new(&[]);
        assert_eq!(read(&host.roots, "5.14.0-1.el9"), Installed::default());
        let elsewhere = Roots {
            sysfs: host.path("a"),
            procfs: host.path("b"),
        };
        assert_eq!(read(&elsewhere, "5.14.0-1.el9"), Installed::default());
    }

    #[test]
    fn a_distributions_own_patches_are_found() {
        let host = FakeHost::new(&[
            ("lib/modules/5.14/livepatch/livepatch-1.ko.zst", ""),
            ("lib/modules/5.14/modules.dep", "extra/lp-x.ko:\n"),
        ]);
        let found = |module| by_distribution(&host.roots, "5.14", module);
        assert_eq!(found("livepatch_1"), Some(true));
        assert_eq!(found("lp_x"), Some(true));
        assert_eq!(found("lp_y"), Some(false));
        assert_eq!(by_distribution(&host.roots, "6.0", "lp_y"), None);
        assert_eq!(by_distribution(&host.roots, "..", "lp_y"), None);
    }
}
