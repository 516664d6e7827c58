//! The modules that a patch names.

use crate::{
    check::facts::disk::Disk,
    kernel::{
        Roots,
        modules::{self, Build, Presence},
        patch_file::PatchFile,
    },
};

use super::{ModuleFacts, ModuleFile};

pub(super) fn facts(roots: &Roots, disk: &Disk, name: &str) -> ModuleFacts {
    let presence = presence(roots, disk, name);
    let is_loaded = presence == Some(Presence::Loaded);
    let files = disk.modules.as_ref();
    let in_tree = files.and_then(|files| files.in_tree(name));
    ModuleFacts {
        presence,
        taint: modules::taint(roots, name).filter(|_| is_loaded),
        build: Build::loaded(roots, name),
        disk_known: files.is_some(),
        in_tree: in_tree.map(|path| ModuleFile {
            build: PatchFile::read(&path)
                .map(|file| Build::of_file(&file))
                .unwrap_or_default(),
            path,
        }),
        preferred: files.and_then(|files| files.preferred(name)),
    }
}

/// sysfs lists built-in code only if it has parameters. The kernel's own list of
/// built-in modules is complete.
pub(super) fn presence(roots: &Roots, disk: &Disk, name: &str) -> Option<Presence> {
    let presence = modules::presence(roots, name)?;
    let built_in = disk
        .modules
        .as_ref()
        .and_then(|files| files.is_built_in(name));
    match presence {
        Presence::NotLoaded if built_in == Some(true) => Some(Presence::BuiltIn),
        Presence::Loaded | Presence::NotLoaded | Presence::BuiltIn => Some(presence),
    }
}

/// The build of the loaded module of this name.
pub(super) fn namesake(roots: &Roots, name: &str) -> Option<Build> {
    let is_loaded = modules::presence(roots, name) == Some(Presence::Loaded);
    is_loaded.then(|| Build::loaded(roots, name))
}
