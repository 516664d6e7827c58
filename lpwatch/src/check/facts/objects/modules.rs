//! The modules that a patch names.

use std::{collections::BTreeMap, path::Path};

use crate::{
    check::facts::disk::Disk,
    kernel::{
        Roots,
        kallsyms::VMLINUX,
        module_files::ModuleFiles,
        modules::{self, Build, Presence},
        patch_file::{PatchFile, PatchObject},
    },
    model::object_name,
};

use super::{MeantModule, ModuleFacts, ModuleFile};

pub(super) fn facts(roots: &Roots, disk: &Disk, object: &PatchObject) -> ModuleFacts {
    let name = object.name.as_str();
    let presence = presence(roots, disk, name);
    let is_loaded = presence == Some(Presence::Loaded);
    let files = disk.modules.as_ref();
    let in_tree = files.and_then(|files| files.in_tree(name));
    let preferred = files.and_then(|files| files.preferred(name));
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
        in_file: (presence == Some(Presence::NotLoaded))
            .then(|| in_file(preferred.as_deref()?, object))
            .flatten(),
        preferred,
        meant: (!is_loaded)
            .then(|| meant(roots, disk, name, presence))
            .flatten(),
    }
}

/// How many symbols of each function to be patched the module's file has.
fn in_file(file: &Path, object: &PatchObject) -> Option<BTreeMap<String, u32>> {
    let functions = object.functions.iter();
    let names: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
    PatchFile::symbol_counts(file, &names).ok()
}

/// The module that the patch means with a name that no module has; `None` if the
/// name can be that of a module.
fn meant(
    roots: &Roots,
    disk: &Disk,
    written: &str,
    presence: Option<Presence>,
) -> Option<MeantModule> {
    let name = object_name::meant(written);
    let other_case = other_case(roots, disk, &name);
    let by_case = name == written;
    // What is built in has its own finding.
    if by_case && (other_case.is_none() || presence == Some(Presence::BuiltIn)) {
        return None;
    }
    let name = other_case.unwrap_or(name);
    let files = disk.modules.as_ref();
    Some(MeantModule {
        presence: (name != VMLINUX)
            .then(|| self::presence(roots, disk, &name))
            .flatten(),
        file: files.and_then(|files| files.preferred(&name)),
        name,
        by_case,
    })
}

/// The module, loaded or on disk, whose name differs from this one in the case of
/// letters only; `None` if a module has this very name.
fn other_case(roots: &Roots, disk: &Disk, name: &str) -> Option<String> {
    let loaded = modules::loaded_names(roots);
    let files = disk.modules.iter();
    let known = loaded.iter().map(String::as_str);
    let mut known = known.chain(files.flat_map(ModuleFiles::names));
    let mut found = None;
    let is_exact = known.any(|known| {
        if found.is_none() && known != name && known.eq_ignore_ascii_case(name) {
            found = Some(known.to_owned());
        }
        known == name
    });
    found.filter(|_| !is_exact)
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
