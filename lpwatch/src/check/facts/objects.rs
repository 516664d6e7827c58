//! The objects and functions of a patch on this host.

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

use symbols::FunctionSymbols;

/// Facts for the rules `symbol` and `overlap`, and the addresses for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// The addresses of each function to be patched whose object is loaded. Empty
    /// if the function is not found or its address is hidden. More than one if
    /// the patch is ambiguous, which the kernel refuses.
    pub functions: BTreeMap<FunctionId, Vec<Extent>>,
    /// The new functions of those loaded patches whose file was read.
    pub stand_ins: Vec<PatchCode>,
    /// The kernel hides its addresses.
    pub hidden: bool,
    /// The symbols of each function; `None` if they cannot be read.
    pub symbols: Option<BTreeMap<FunctionId, SymbolFacts>>,
    /// The number of symbols of each name that the patch's code uses. Names
    /// without a symbol have no entry.
    pub used: BTreeMap<Symbol, u32>,
    /// Why some symbols are unknown: one sentence each, without the full stop.
    pub unread: Vec<String>,
    /// The modules that the patch names as objects.
    pub modules: BTreeMap<String, ModuleFacts>,
    /// Whether the modules that the patch needs are present; `None` if unknown.
    pub needed: BTreeMap<String, Option<Presence>>,
    /// A module of the patch's own name that is loaded.
    pub namesake: Option<Build>,
    /// The files of those loaded patches whose file was found.
    pub patch_files: BTreeMap<String, PatchFile>,
}

/// The bytes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub begin: u64,
    /// One past the last; the next symbol's address, as kallsyms has no sizes.
    pub end: u64,
}

/// The kernel's symbols for a function to be patched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolFacts {
    /// How many symbols of this name its object has.
    pub count: u32,
    /// The symbol that the patch means exists and is a function.
    pub is_code: bool,
    /// Parts and copies that the compiler made of it: `name.part.0`.
    pub parts: Vec<String>,
    /// Its calls can be redirected; `None` if unknown.
    pub traceable: Option<bool>,
}

/// A module that is to be patched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleFacts {
    /// `None` if the kernel does not list its modules.
    pub presence: Option<Presence>,
    /// Its taint flags, if it is loaded.
    pub taint: Option<String>,
    /// The build that is loaded.
    pub build: Build,
    /// The folder of the kernel's modules could be read.
    pub disk_known: bool,
    /// The kernel's own file of this name.
    pub in_tree: Option<ModuleFile>,
    /// What modprobe would load.
    pub preferred: Option<PathBuf>,
    /// How many symbols of each function to be patched that file has, if the module
    /// is not loaded; `None` if unknown.
    pub in_file: Option<BTreeMap<String, u32>>,
    /// The module that the patch may mean, if its own name for it is not that of
    /// any module.
    pub meant: Option<MeantModule>,
}

/// A module whose name is nearly the one in the patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeantModule {
    /// Empty if there is none.
    pub name: String,
    /// `None` if unknown.
    pub presence: Option<Presence>,
    /// What modprobe would load for it.
    pub file: Option<PathBuf>,
    /// Only the case of letters differs: the name in the patch could be that of a
    /// module, but is not on this host.
    pub by_case: bool,
}

/// A module's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    pub path: PathBuf,
    pub build: Build,
}

/// The inputs of [`ObjectFacts::gather`].
#[derive(Clone, Copy, Debug)]
pub struct ObjectQuery<'a> {
    pub roots: &'a Roots,
    pub disk: &'a Disk,
    pub patch: &'a PatchFile,
    /// The patches that are loaded.
    pub patches: &'a [PatchView],
}

impl ObjectFacts {
    #[must_use]
    pub fn gather(look: &ObjectQuery<'_>) -> Self {
        let ObjectQuery {
            roots,
            disk,
            patch,
            patches,
        } = look;
        let names = patches.iter().map(|patch| patch.name.as_str());
        let patch_files = patch_files::find(roots, disk, names);
        let FunctionSymbols {
            functions,
            hidden,
            known,
            used,
            unread,
        } = FunctionSymbols::gather(look);
        let modules = patch.objects.iter().filter(|object| object.name != VMLINUX);
        let needed = patch.modinfo.depends.iter();
        Self {
            functions,
            stand_ins: patch_files.values().filter_map(code).collect(),
            hidden,
            symbols: known,
            used,
            unread,
            modules: modules
                .map(|object| (object.name.clone(), modules::facts(roots, disk, object)))
                .collect(),
            needed: needed
                .map(|name| {
                    // The kernel's spelling of a loaded module.
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

/// The new functions of a loaded patch; `None` if its file does not name all.
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
