//! The pointers and symbols of a module's data, sorted by place.

use std::collections::BTreeMap;

use object::SectionIndex;
use object::elf;
use object::read::elf::{Rela as _, SectionHeader as _};

use super::elf::Elf;
use super::unread::Unread;

/// The most relocations of data, and symbols, that are inspected; a livepatch
/// has some hundred.
const RELOCATIONS_MAX: usize = 1 << 20;
const SYMBOLS_MAX: usize = 1 << 20;

/// By section, then by place.
pub(super) struct Index {
    pub pointers: BTreeMap<usize, Vec<Pointer>>,
    /// Functions and objects.
    pub named: BTreeMap<usize, Vec<Named>>,
}

/// Eight bytes that a relocation makes an address.
pub(super) struct Pointer {
    pub offset: u64,
    pub symbol: usize,
    pub addend: i64,
}

/// A function or object that begins here.
pub(super) struct Named {
    pub value: u64,
    pub symbol: usize,
}

impl Index {
    pub fn new(elf: &Elf<'_>, unread: &mut Unread) -> Self {
        Self {
            pointers: pointers(elf, unread),
            named: named(elf, unread),
        }
    }
}

/// Pointers in what the kernel loads as data. Sections may lie over each other
/// in the file, so all of them share one bound.
fn pointers(elf: &Elf<'_>, unread: &mut Unread) -> BTreeMap<usize, Vec<Pointer>> {
    let mut all: BTreeMap<usize, Vec<Pointer>> = BTreeMap::new();
    let mut room = RELOCATIONS_MAX;
    let mut more = false;
    let address = elf.machine.address_relocation();
    for (SectionIndex(index), header) in elf.headers().enumerate() {
        let Some(target) = relocated_data(elf, index, header.sh_info(elf.endian)) else {
            continue;
        };
        let Ok(Some((entries, _))) = header.rela(elf.endian, elf.data) else {
            unread.add(format!(
                "the relocations of section {index} are not of the kind that the kernel accepts (RELA)"
            ));
            continue;
        };
        more |= entries.len() > room;
        let entries = &entries[..entries.len().min(room)];
        room -= entries.len();
        let found = all.entry(target).or_default();
        found.extend(
            entries
                .iter()
                .filter(|entry| entry.r_type(elf.endian, false) == address)
                .map(|entry| Pointer {
                    offset: entry.r_offset(elf.endian),
                    symbol: usize::try_from(entry.r_sym(elf.endian, false)).unwrap_or(0),
                    addend: entry.r_addend(elf.endian),
                }),
        );
    }
    if more {
        unread.add(format!(
            "only {RELOCATIONS_MAX} of the relocations of the module's data were read"
        ));
    }
    for found in all.values_mut() {
        found.sort_by_key(|pointer| pointer.offset);
        let before = found.len();
        found.dedup_by_key(|pointer| pointer.offset);
        if found.len() < before {
            unread.add("several relocations of the module's data are for one place");
        }
    }
    all
}

/// The section whose data section `index` relocates when the module is loaded.
fn relocated_data(elf: &Elf<'_>, index: usize, info: u32) -> Option<usize> {
    let section = elf.sections.get(index)?;
    let relocations = matches!(section.kind, elf::SHT_RELA | elf::SHT_REL);
    if !relocations || section.is_livepatch_relocations() {
        return None;
    }
    let target = usize::try_from(info).ok()?;
    elf.sections.get(target)?.is_data().then_some(target)
}

fn named(elf: &Elf<'_>, unread: &mut Unread) -> BTreeMap<usize, Vec<Named>> {
    let mut all: BTreeMap<usize, Vec<Named>> = BTreeMap::new();
    let count = elf.symbol_count();
    if count > SYMBOLS_MAX {
        unread.add(format!(
            "only {SYMBOLS_MAX} of the module's {count} symbols were read"
        ));
    }
    for index in 1..count.min(SYMBOLS_MAX) {
        let Some(symbol) = elf.symbol(index) else {
            continue;
        };
        let wanted = matches!(symbol.kind, elf::STT_OBJECT | elf::STT_FUNC);
        if let (true, Some(section)) = (wanted, symbol.section) {
            let value = symbol.value;
            let found = all.entry(section).or_default();
            found.push(Named {
                value,
                symbol: index,
            });
        }
    }
    for found in all.values_mut() {
        found.sort_by_key(|named| named.value);
    }
    all
}
