//! Symbols that a patch's code uses and that are not exported. The kernel finds
//! them by name when it applies the patch's own relocations, and otherwise
//! refuses the patch (kpatch-build, klp-build).
//!
//! Source: `klp_resolve_symbols` (kernel/livepatch/core.c, 5.10 to 7.3),
//! Documentation/livepatch/module-elf-format.rst.

use std::collections::BTreeSet;

use object::read::elf::SectionHeader as _;

use super::elf::{Elf, Section};
use super::unread::Unread;

/// The most relocations that are inspected, and the most symbols that are
/// reported.
const RELOCATIONS_MAX: usize = 1 << 20;
const SYMBOLS_MAX: usize = 16_384;

/// `.klp.rela.OBJECT.SECTION` is applied when the object is there: with the
/// patch for vmlinux.
const SECTIONS: &[u8] = b".klp.rela.";
/// `.klp.sym.OBJECT.NAME,SYMPOS`.
const SYMBOLS: &str = ".klp.sym.";

/// A symbol of the kernel or a module that is found by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsedSymbol {
    /// The patched object whose relocations use it.
    pub with: String,
    /// The object that contains it: `vmlinux` or a module.
    pub object: String,
    pub name: String,
    /// 0 means that the name is unique in its object, otherwise which symbol of
    /// this name it is, from 1.
    pub sympos: u32,
}

/// The symbols, each once, in order.
pub(super) fn read(elf: &Elf<'_>, unread: &mut Unread) -> Vec<UsedSymbol> {
    let mut indexes: BTreeSet<(&str, usize)> = BTreeSet::new();
    let mut room = RELOCATIONS_MAX;
    for (section, header) in elf.sections.iter().zip(elf.headers().iter()) {
        let Some(with) = applied_with(section) else {
            continue;
        };
        let Ok(Some((entries, _))) = header.rela(elf.endian, elf.data) else {
            unread.add(format!(
                "the symbols that are found with {with}: their relocations are damaged"
            ));
            continue;
        };
        if entries.len() > room {
            unread.add(format!(
                "only {RELOCATIONS_MAX} of the livepatch relocations were read"
            ));
        }
        let entries = &entries[..entries.len().min(room)];
        room -= entries.len();
        let symbols = entries.iter().map(|entry| entry.r_sym(elf.endian, false));
        indexes.extend(symbols.map(|symbol| (with, usize::try_from(symbol).unwrap_or(0))));
    }
    if indexes.len() > SYMBOLS_MAX {
        unread.add(format!(
            "only {SYMBOLS_MAX} of the symbols that the kernel has to find were read"
        ));
    }
    let indexes = indexes.into_iter().take(SYMBOLS_MAX);
    let symbols = indexes.filter_map(|(with, index)| symbol(elf, with, index, unread));
    let symbols: BTreeSet<UsedSymbol> = symbols.collect();
    symbols.into_iter().collect()
}

/// The object with which the section is applied, if it is one of those.
fn applied_with<'data>(section: &Section<'data>) -> Option<&'data str> {
    let rest = section
        .name
        .strip_prefix(SECTIONS)
        .filter(|_| section.is_livepatch_relocations())?;
    let object = rest.split(|byte| *byte == b'.').next()?;
    str::from_utf8(object)
        .ok()
        .filter(|object| !object.is_empty())
}

fn symbol(elf: &Elf<'_>, with: &str, index: usize, unread: &mut Unread) -> Option<UsedSymbol> {
    let symbol = elf.symbol(index);
    let name = symbol.map(|symbol| symbol.name.bytes()).unwrap_or_default();
    let parsed = symbol
        .filter(|symbol| symbol.livepatch)
        .and_then(|_| parse(str::from_utf8(name).ok()?));
    let Some((object, name, sympos)) = parsed else {
        let name = String::from_utf8_lossy(name);
        unread.add(format!(
            "a symbol that is found with {with}: the kernel would not accept `{name}`"
        ));
        return None;
    };
    Some(UsedSymbol {
        with: with.to_owned(),
        object: object.to_owned(),
        name: name.to_owned(),
        sympos,
    })
}

fn parse(text: &str) -> Option<(&str, &str, u32)> {
    let (object, rest) = text.strip_prefix(SYMBOLS)?.split_once('.')?;
    let (name, sympos) = rest.split_once(',')?;
    let is_whole = !object.is_empty() && !name.is_empty();
    Some((object, name, sympos.parse().ok()?)).filter(|_| is_whole)
}
