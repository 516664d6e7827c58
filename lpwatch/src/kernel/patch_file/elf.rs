//! A module file as ELF: its header checked, its sections and symbols found.
//!
//! Offsets are checked as in the kernel's `elf_validity_check`
//! (kernel/module/main.c), so that everything read afterwards is within the
//! file. Names are read up to a limit: string tables may have no end.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{SectionIndex, SymbolIndex};

use super::error::Problem;
use super::header::{Header, damaged, machine, read_header, section_headers, within};
use super::machine::Machine;

/// The longest name of a section or symbol. The kernel's own limit for symbols
/// is 512 (`KSYM_NAME_LEN`); `.klp.sym.` names contain two of them.
const NAME_MAX: usize = 2048;

/// Marks `.klp.rela.` sections, which the kernel applies when their object is
/// loaded (`SHF_RELA_LIVEPATCH`, include/uapi/linux/elf.h).
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;

/// The section of symbols that the kernel has to find
/// (include/uapi/linux/elf.h).
const SHN_LIVEPATCH: u16 = 0xff20;

/// An ELF module, borrowed from the file's bytes.
pub(super) struct Elf<'data> {
    pub machine: Machine,
    pub endian: Endianness,
    pub data: &'data [u8],
    pub sections: Vec<Section<'data>>,
    headers: SectionTable<'data, Header>,
    symbols: SymbolTable<'data, Header>,
    symbol_names: &'data [u8],
}

/// One section; its place in [`Elf::sections`] is its index in the file.
pub(super) struct Section<'data> {
    /// Empty if the name cannot be read.
    pub name: &'data [u8],
    /// `None` for a section that has no bytes in the file: all zero.
    pub bytes: Option<&'data [u8]>,
    pub size: u64,
    pub kind: u32,
    flags: u64,
}

impl Section<'_> {
    /// The kernel loads it.
    pub fn is_loaded(&self) -> bool {
        self.flags & u64::from(elf::SHF_ALLOC) != 0
    }

    /// Contains code. On big-endian ppc64 a function's address is in `.opd`.
    pub fn is_code(&self) -> bool {
        self.flags & u64::from(elf::SHF_EXECINSTR) != 0 || self.name == b".opd"
    }

    /// Loaded, and not code.
    pub fn is_data(&self) -> bool {
        self.is_loaded() && !self.is_code()
    }

    pub fn is_livepatch_relocations(&self) -> bool {
        self.flags & SHF_RELA_LIVEPATCH != 0
    }
}

/// A symbol's name, whose end is not located yet: there may be millions.
#[derive(Clone, Copy)]
pub(super) struct Name<'data>(&'data [u8]);

impl<'data> Name<'data> {
    fn at(strings: &'data [u8], offset: u32) -> Self {
        Self(rest_at(strings, offset))
    }

    /// Empty if the name has no end within the limit.
    pub fn bytes(self) -> &'data [u8] {
        until_zero(self.0)
    }

    pub fn is_empty(self) -> bool {
        self.0.first().is_none_or(|first| *first == 0)
    }

    pub fn starts_with(self, start: &[u8]) -> bool {
        self.0.starts_with(start)
    }

    pub fn is(self, name: &[u8]) -> bool {
        self.0
            .strip_prefix(name)
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// One symbol.
#[derive(Clone, Copy)]
pub(super) struct ElfSymbol<'data> {
    pub name: Name<'data>,
    pub value: u64,
    pub size: u64,
    pub kind: u8,
    /// Index of the section it lies in.
    pub section: Option<usize>,
    pub undefined: bool,
    /// The kernel has to find it by name (`SHN_LIVEPATCH`).
    pub livepatch: bool,
}

impl<'data> Elf<'data> {
    pub fn parse(data: &'data [u8]) -> Result<Self, Problem> {
        let header = read_header(data)?;
        let endian = header.endian().map_err(damaged)?;
        let machine = machine(header, endian)?;
        let headers = section_headers(header, endian, data)?;
        let names = headers_names(header, &headers, endian, data)?;
        let mut sections = Vec::with_capacity(headers.len());
        for section in headers.iter() {
            sections.push(read_section(section, names, endian, data)?);
        }
        let symbols = headers
            .symbols(endian, data, elf::SHT_SYMTAB)
            .map_err(damaged)?;
        if symbols.is_empty() {
            return Err(Problem::NoSymbols);
        }
        let symbol_names = sections
            .get(symbols.string_section().0)
            .and_then(|section| section.bytes)
            .unwrap_or_default();
        Ok(Self {
            machine,
            endian,
            data,
            sections,
            headers,
            symbols,
            symbol_names,
        })
    }

    /// The first section of this name.
    pub fn section_named(&self, name: &[u8]) -> Option<usize> {
        self.sections
            .iter()
            .position(|section| section.name == name)
    }

    /// The section headers, beside [`Self::sections`].
    pub fn headers(&self) -> &SectionTable<'data, Header> {
        &self.headers
    }

    pub fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    /// The symbol of this index; `None` for the null symbol and beyond the
    /// table.
    pub fn symbol(&self, index: usize) -> Option<ElfSymbol<'data>> {
        let index = SymbolIndex(index);
        let symbol = self.symbols.symbol(index).ok()?;
        let section = self.symbols.symbol_section(self.endian, symbol, index);
        Some(ElfSymbol {
            name: Name::at(self.symbol_names, symbol.st_name(self.endian)),
            value: symbol.st_value(self.endian),
            size: symbol.st_size(self.endian),
            kind: symbol.st_type(),
            section: section.ok().flatten().map(|SectionIndex(index)| index),
            undefined: symbol.st_shndx(self.endian) == elf::SHN_UNDEF,
            livepatch: symbol.st_shndx(self.endian) == SHN_LIVEPATCH,
        })
    }

    /// Every symbol's name, kind and place.
    pub fn symbols(&self) -> impl Iterator<Item = ElfSymbol<'data>> {
        (1..self.symbol_count()).filter_map(|index| self.symbol(index))
    }
}

/// The sections' names, as one block.
fn headers_names<'data>(
    header: &Header,
    headers: &SectionTable<'data, Header>,
    endian: Endianness,
    data: &'data [u8],
) -> Result<&'data [u8], Problem> {
    let index = SectionIndex(usize::from(header.e_shstrndx(endian)));
    let section = headers.section(index).map_err(damaged)?;
    Ok(read_section(section, &[], endian, data)?
        .bytes
        .unwrap_or_default())
}

fn read_section<'data>(
    section: &elf::SectionHeader64<Endianness>,
    names: &'data [u8],
    endian: Endianness,
    data: &'data [u8],
) -> Result<Section<'data>, Problem> {
    let kind = section.sh_type(endian);
    let size = section.sh_size(endian);
    let bytes = match kind {
        elf::SHT_NULL => Some(&data[..0]),
        elf::SHT_NOBITS => None,
        _ => {
            within("a section", section.sh_offset(endian), size, data)?;
            Some(section.data(endian, data).map_err(damaged)?)
        }
    };
    Ok(Section {
        name: string_at(names, section.sh_name(endian)),
        bytes,
        size: if kind == elf::SHT_NULL { 0 } else { size },
        kind,
        flags: section.sh_flags(endian),
    })
}

/// The string at `offset`, or nothing if it is too long or has no end.
fn string_at(strings: &[u8], offset: u32) -> &[u8] {
    until_zero(rest_at(strings, offset))
}

fn rest_at(strings: &[u8], offset: u32) -> &[u8] {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    strings.get(offset..).unwrap_or_default()
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    let bytes = &bytes[..bytes.len().min(NAME_MAX)];
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => &bytes[..end],
        None => &[],
    }
}
