//! The objects and functions that a patch names, as this host has them.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    kernel::{
        Roots,
        kallsyms::{Symbol, VMLINUX},
        modules::{Build, Presence},
        patch_file::{PatchFile, PatchedFunction},
    },
    model::{PatchView, calls::FunctionId, prediction::PatchCode},
};

use super::{disk::Disk, patch_files};

mod modules;
mod symbols;

use symbols::Symbols;

/// Facts for the rules `symbol` and `overlap`, and the addresses for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Where each function to be patched lies, if its object is loaded; empty
    /// for one that is not found or whose address is hidden. Several where the
    /// patch does not say which it means: the kernel refuses that.
    pub functions: BTreeMap<FunctionId, Vec<Extent>>,
    /// The code of loaded patches that stands in for functions, of those whose
    /// file was found and read.
    pub stand_ins: Vec<PatchCode>,
    /// The kernel hides its addresses.
    pub hidden: bool,
    /// What the kernel has of each function; `None` where it cannot be read.
    pub symbols: Option<BTreeMap<FunctionId, SymbolFacts>>,
    /// How many symbols there are of each name that the patch's code uses; those
    /// there are none of are left out.
    pub used: BTreeMap<Symbol, u32>,
    /// Why not all is known of the symbols, a sentence each without its stop.
    pub unread: Vec<String>,
    /// The modules that the patch names as objects.
    pub modules: BTreeMap<String, ModuleFacts>,
    /// Whether the modules that the patch needs are there; `None` if not known.
    pub needed: BTreeMap<String, Option<Presence>>,
    /// A module of the patch's own name that is loaded.
    pub namesake: Option<Build>,
    /// The files of loaded patches, as far as they were found.
    pub patch_files: BTreeMap<String, PatchFile>,
}

/// The bytes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub begin: u64,
    /// One past the last; the next symbol's address, as kallsyms has no sizes.
    pub end: u64,
}

/// What the kernel's symbols say of a function to be patched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolFacts {
    /// How many symbols of the name its object has.
    pub count: u32,
    /// The one that is meant is there, and is a function.
    pub is_code: bool,
    /// What the compiler split off it or copied from it: `name.part.0`.
    pub parts: Vec<String>,
    /// Calls of it can be redirected; `None` if not known.
    pub traceable: Option<bool>,
}

/// A module that is to be patched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleFacts {
    /// `None` where the kernel does not list its modules.
    pub presence: Option<Presence>,
    /// The letters with which it taints the kernel, if it is loaded.
    pub taint: Option<String>,
    /// The build that is loaded.
    pub build: Build,
    /// The folder of the kernel's modules could be read.
    pub disk_known: bool,
    /// The kernel's own file of this name.
    pub in_tree: Option<ModuleFile>,
    /// What modprobe would load.
    pub preferred: Option<PathBuf>,
}

/// A module's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    pub path: PathBuf,
    pub build: Build,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub roots: &'a Roots,
    pub disk: &'a Disk,
    pub patch: &'a PatchFile,
    /// The patches that are loaded.
    pub patches: &'a [PatchView],
}

impl ObjectFacts {
    #[must_use]
    pub fn gather(look: &Look<'_>) -> Self {
        let Look {
            roots,
            disk,
            patch,
            patches,
        } = look;
        let names = patches.iter().map(|patch| patch.name.as_str());
        let patch_files = patch_files::find(roots, disk, names);
        let Symbols {
            functions,
            hidden,
            known,
            used,
            unread,
        } = Symbols::gather(look);
        let objects = patch.objects.iter().map(|object| object.name.as_str());
        let modules = objects.filter(|name| *name != VMLINUX);
        let needed = patch.modinfo.depends.iter();
        Self {
            functions,
            stand_ins: patch_files.values().filter_map(code).collect(),
            hidden,
            symbols: known,
            used,
            unread,
            modules: modules
                .map(|name| (name.to_owned(), modules::facts(roots, disk, name)))
                .collect(),
            needed: needed
                .map(|name| {
                    // As the kernel names it once it is loaded.
                    let name = name.replace('-', "_");
                    let presence = modules::presence(roots, disk, &name);
                    (name, presence)
                })
                .collect(),
            namesake: modules::namesake(roots, &patch.name),
            patch_files,
        }
    }
}

/// The new functions of a loaded patch; `None` where its file does not name all.
fn code(file: &PatchFile) -> Option<PatchCode> {
    let named = named(file).into_iter();
    let functions = named.map(|(id, function)| Some((id, function.new_function.clone()?)));
    let functions: Vec<(FunctionId, String)> = functions.collect::<Option<_>>()?;
    (file.unread.is_empty() && !functions.is_empty()).then(|| PatchCode {
        patch: file.name.clone(),
        functions,
    })
}

/// Every function the patch names.
fn named(patch: &PatchFile) -> Vec<(FunctionId, &PatchedFunction)> {
    let objects = patch.objects.iter();
    let named = objects.flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| (function_id(&object.name, function), function))
    });
    named.collect()
}

/// The id of a function of a patch file.
#[must_use]
pub fn function_id(object: &str, function: &PatchedFunction) -> FunctionId {
    FunctionId::new(object, &function.name, function.sympos)
}

fn symbol(id: &FunctionId) -> Symbol {
    Symbol {
        object: id.object.clone(),
        name: id.name.clone(),
    }
}

#[cfg(test)]
mod tests;
