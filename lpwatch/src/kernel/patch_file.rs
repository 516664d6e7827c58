//! Livepatch module files (`.ko`): what a patch will change, before it is
//! loaded.
//!
//! A module comes from anywhere, so no length or offset in it is trusted: bad
//! input gives a [`Problem`], and [`PatchFile::unread`] lists what cannot be
//! read within a sound module.

mod array;
mod code;
mod elf;
mod error;
mod file;
mod find;
mod header;
mod image;
mod index;
mod klp;
mod klp_build;
mod klp_lists;
mod klp_symbols;
mod kpatch_build;
mod machine;
mod modinfo;
mod packing;
mod reader;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod unread;

use std::{collections::BTreeMap, path::Path};

use strum::VariantArray;

pub use error::{Packing, PatchFileError, Problem};
pub use find::{Found, find_in};
pub use klp_symbols::UsedSymbol;
pub use machine::Machine;
pub use modinfo::Modinfo;

use elf::Elf;
use image::Image;
use modinfo::Release;
use reader::RawPatch;
use unread::Unread;

/// The most functions and objects that are read of one module.
pub const FUNCTIONS_MAX: usize = 16_384;
pub const OBJECTS_MAX: usize = 1024;

/// The most bytes that are read of a file, and that it may unpack to: 256 MiB.
pub const SIZE_MAX: u64 = 256 << 20;

/// A module file. If the module is not a livepatch, only the general part is
/// filled: `made_by` is `None` and `objects` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFile {
    /// The name the module has once loaded, and so the patch's in sysfs.
    pub name: String,
    pub modinfo: Modinfo,
    pub machine: Machine,
    /// In hexadecimal.
    pub build_id: Option<String>,
    /// A signature is appended; only the kernel can verify it.
    pub signed: bool,
    /// The tool that built the patch; `None` if no patch was found.
    pub made_by: Option<MadeBy>,
    /// Replaces all patches before it. `None` if unknown: with kpatch-build and
    /// klp-build the module's code sets it, which lpwatch reads for x86-64
    /// only.
    pub replace: Option<bool>,
    /// What it patches, in the module's order.
    pub objects: Vec<PatchObject>,
    /// Symbols that its code uses and that the kernel has to find by name.
    pub uses: Vec<UsedSymbol>,
    /// Versions of changes that outlive a patch (`klp_state`).
    pub states: Vec<PatchState>,
    /// Uses shadow variables (`klp_shadow_alloc` and its like), data that is
    /// attached to the kernel's own and may outlive the patch.
    pub shadow_variables: bool,
    /// What could not be read, one sentence each. Where this is not empty, the
    /// rest may be incomplete.
    pub unread: Vec<String>,
}

/// What built a patch module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// `klp_patch` structures in C, as in the kernel's samples.
    HandWritten,
    /// kpatch-build of the kpatch project.
    KpatchBuild,
    /// scripts/livepatch/klp-build of the kernel (6.19).
    KlpBuild,
}

/// What a patch changes in `vmlinux` or a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchObject {
    pub name: String,
    /// In the module's order.
    pub functions: Vec<PatchedFunction>,
    /// The callbacks it sets, in the order they are called.
    pub callbacks: Vec<Callback>,
}

/// One function that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchedFunction {
    pub name: String,
    /// As written: 0 means that the name is unique in its object, otherwise
    /// which symbol of this name it is, from 1. sysfs shows 0 as 1.
    pub sympos: u32,
    /// The symbol of the new function, where the module has one.
    pub new_function: Option<String>,
}

/// A callback of a patched object (`klp_callbacks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub enum Callback {
    PrePatch,
    PostPatch,
    PreUnpatch,
    PostUnpatch,
}

/// A change that outlives the patch that made it (`klp_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchState {
    pub id: u64,
    pub version: u32,
}

impl PatchFile {
    /// Reads a module file, packed (gzip, xz, zstd) or not. It refuses pipes
    /// and devices, and so never blocks on them.
    ///
    /// # Errors
    /// The file cannot be read or is too large, or is not a kernel module that
    /// lpwatch knows: see [`Problem`].
    pub fn read(path: &Path) -> Result<Self, PatchFileError> {
        let failed = |problem| PatchFileError {
            file: path.display().to_string(),
            problem,
        };
        let bytes = file::read(path).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parse(&bytes, &name).map_err(failed)
    }

    /// How many symbols of each of these names a module file defines, as
    /// `module_kallsyms_on_each_symbol` counts them (kernel/module/kallsyms.c, 6.12).
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn symbol_counts(
        path: &Path,
        names: &[&str],
    ) -> Result<BTreeMap<String, u32>, PatchFileError> {
        let count = || {
            let bytes = file::read(path)?;
            let bytes = packing::unpack(&bytes, SIZE_MAX)?;
            let elf = Elf::parse(&bytes)?;
            let mut counts: BTreeMap<&str, u32> = names.iter().map(|name| (*name, 0)).collect();
            for symbol in elf.symbols().filter(|symbol| symbol.section.is_some()) {
                let name = std::str::from_utf8(symbol.name.bytes()).unwrap_or_default();
                if let Some(count) = counts.get_mut(name) {
                    *count += 1;
                }
            }
            let counts = counts.into_iter();
            Ok(counts
                .map(|(name, count)| (name.to_owned(), count))
                .collect())
        };
        count().map_err(|problem| PatchFileError {
            file: path.display().to_string(),
            problem,
        })
    }

    /// Reads a module from a file's bytes; `file_name` is only for a module
    /// without a name, and for errors.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(bytes: &[u8], file_name: &str) -> Result<Self, PatchFileError> {
        parse(bytes, file_name).map_err(|problem| PatchFileError {
            file: file_name.to_owned(),
            problem,
        })
    }
}

fn parse(bytes: &[u8], file_name: &str) -> Result<PatchFile, Problem> {
    let bytes = packing::unpack(bytes, SIZE_MAX)?;
    let bytes = &bytes[..];
    let elf = Elf::parse(bytes)?;
    let mut unread = Unread::default();
    let modinfo = Modinfo::read(&elf, &mut unread);
    let name = module_name(&modinfo, file_name);
    if name.is_empty() {
        unread.add("the module's name: neither the module nor its file's name contains it");
    }
    let image = Image::new(&elf, &mut unread);
    let uses = Uses::of(&elf);
    let symbols = klp_symbols::read(&elf, &mut unread);
    let found = find(&image, &modinfo, &mut unread);
    if found.is_none() && (modinfo.livepatch || uses.enable) {
        unread.add("what it patches: no klp_patch was found in its data; its code may build it when it is loaded");
    }
    let (made_by, patch) = found.unzip();
    let RawPatch {
        objects,
        replace,
        states,
    } = patch.unwrap_or_default();
    Ok(PatchFile {
        name,
        machine: elf.machine,
        build_id: modinfo::build_id(&elf),
        signed: modinfo::is_signed(bytes),
        modinfo,
        made_by,
        replace,
        objects,
        uses: symbols,
        states,
        shadow_variables: uses.shadow,
        unread: unread.into_sentences(),
    })
}

/// Finds the patch in each of the possible forms. Those of the tools come
/// first: their sections are certain.
fn find(
    image: &Image<'_, '_>,
    modinfo: &Modinfo,
    unread: &mut Unread,
) -> Option<(MadeBy, RawPatch)> {
    if let Some(patch) = kpatch_build::read(image, unread) {
        return Some((MadeBy::KpatchBuild, patch));
    }
    if let Some(patch) = klp_build::read(image, unread) {
        return Some((MadeBy::KlpBuild, patch));
    }
    let release = modinfo.kernel_release().and_then(Release::parse);
    let patch = klp::read(image, release, unread)?;
    Some((MadeBy::HandWritten, patch))
}

/// As the kernel will name it: the name in the module, otherwise the one that
/// `kmod` derives from the file's name.
fn module_name(modinfo: &Modinfo, file_name: &str) -> String {
    if let Some(name) = modinfo.name.as_deref().filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    let stem = [".gz", ".xz", ".zst"]
        .iter()
        .find_map(|packed| file_name.strip_suffix(packed))
        .unwrap_or(file_name);
    let stem = stem.strip_suffix(".ko").unwrap_or(stem);
    stem.replace('-', "_")
}

/// Which functions of the livepatch core the module uses.
struct Uses {
    enable: bool,
    shadow: bool,
}

impl Uses {
    fn of(elf: &Elf<'_>) -> Self {
        let mut uses = Self {
            enable: false,
            shadow: false,
        };
        for symbol in elf.symbols().filter(|symbol| symbol.undefined) {
            uses.enable |= symbol.name.is(b"klp_enable_patch");
            uses.shadow |= symbol.name.starts_with(b"klp_shadow_");
        }
        uses
    }
}
