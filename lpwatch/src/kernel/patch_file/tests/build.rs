//! Builds modules for the tests, laid out as compilers and modpost do.

use std::collections::HashMap;

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationEncoding, RelocationFlags, RelocationKind,
    SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

pub const VERMAGIC: &str = "vermagic=6.12.57+deb13-amd64 SMP preempt mod_unload modversions ";

/// A place in the module, and the symbol that pointers to it go by.
#[derive(Clone, Copy)]
pub struct At {
    pub section: SectionId,
    pub offset: u64,
    symbol: SymbolId,
    addend: i64,
}

impl At {
    pub fn plus(self, bytes: u64) -> Self {
        Self {
            offset: self.offset + bytes,
            addend: self.addend + i64::try_from(bytes).unwrap(),
            ..self
        }
    }
}

pub struct Module {
    pub object: Object<'static>,
    /// Whether what is added gets a symbol of its own, as before stripping.
    pub symbols: bool,
    sections: HashMap<&'static str, SectionId>,
    order: Endianness,
}

impl Module {
    /// A livepatch for x86-64, with nothing in it yet.
    pub fn livepatch() -> Self {
        Self::livepatch_of(Architecture::X86_64, Endianness::Little)
    }

    pub fn livepatch_of(architecture: Architecture, order: Endianness) -> Self {
        let mut module = Self::bare(architecture, order);
        module.modinfo(&["license=GPL", "livepatch=Y", "name=test_patch", VERMAGIC]);
        module
    }

    /// With nothing but `__this_module`.
    pub fn bare(architecture: Architecture, order: Endianness) -> Self {
        let mut module = Self {
            object: Object::new(BinaryFormat::Elf, architecture, order),
            symbols: true,
            sections: HashMap::new(),
            order,
        };
        module.data(".gnu.linkonce.this_module", Some("__this_module"), &[0; 64]);
        module
    }

    pub fn modinfo(&mut self, lines: &[&str]) {
        let text: String = lines.iter().flat_map(|line| [*line, "\0"]).collect();
        self.append(".modinfo", SectionKind::ReadOnlyData, text.as_bytes(), 1);
    }

    pub fn number(&self, number: u64) -> [u8; 8] {
        match self.order {
            Endianness::Little => number.to_le_bytes(),
            Endianness::Big => number.to_be_bytes(),
        }
    }

    /// A function of this name in `.text`.
    pub fn function(&mut self, name: &str) -> At {
        let mut at = self.append(".text", SectionKind::Text, &[0xc3; 16], 16);
        if self.symbols {
            at.symbol = self.symbol(name, SymbolKind::Text, at, 16);
            at.addend = 0;
        }
        at
    }

    /// A function or object of another module or the kernel.
    pub fn external(&mut self, name: &str) -> At {
        let at = self.append(".text", SectionKind::Text, &[], 1);
        let symbol = Symbol {
            name: name.into(),
            value: 0,
            size: 0,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Unknown,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        };
        let symbol = self.object.add_symbol(symbol);
        At {
            symbol,
            addend: 0,
            ..at
        }
    }

    pub fn string(&mut self, text: &[u8]) -> At {
        let text: Vec<u8> = text.iter().copied().chain([0]).collect();
        self.append(".rodata.str1.1", SectionKind::ReadOnlyData, &text, 1)
    }

    /// An object in `section`, aligned as compilers align arrays.
    pub fn data(&mut self, section: &'static str, name: Option<&str>, bytes: &[u8]) -> At {
        let at = self.append(section, SectionKind::Data, bytes, 32);
        if let Some(name) = name.filter(|_| self.symbols) {
            let size = bytes.len().try_into().unwrap();
            self.symbol(name, SymbolKind::Data, at, size);
        }
        at
    }

    /// An object that is all zero and takes no room in the file.
    pub fn zeros(&mut self, name: &str, size: u64) -> At {
        let section = self.section(".bss", SectionKind::UninitializedData);
        let offset = self.object.append_section_bss(section, size, 32);
        let at = self.at(section, offset);
        if self.symbols {
            self.symbol(name, SymbolKind::Data, at, size);
        }
        at
    }

    /// Makes the eight bytes at `from` a pointer.
    pub fn point(&mut self, from: At, to: At) {
        let flags = RelocationFlags::Generic {
            kind: RelocationKind::Absolute,
            encoding: RelocationEncoding::Generic,
            size: 64,
        };
        self.relocate(from, to, flags);
    }

    pub fn relocate(&mut self, from: At, to: At, flags: RelocationFlags) {
        let relocation = Relocation {
            offset: from.offset,
            symbol: to.symbol,
            addend: to.addend,
            flags,
        };
        self.object
            .add_relocation(from.section, relocation)
            .unwrap();
    }

    pub fn this_module(&mut self) -> At {
        self.start_of(".gnu.linkonce.this_module")
    }

    pub fn start_of(&mut self, section: &str) -> At {
        let section = self.sections[section];
        self.at(section, 0)
    }

    pub fn append(
        &mut self,
        section: &'static str,
        kind: SectionKind,
        bytes: &[u8],
        align: u64,
    ) -> At {
        let section = self.section(section, kind);
        let offset = self.object.append_section_data(section, bytes, align);
        self.at(section, offset)
    }

    pub fn finish(&self) -> Vec<u8> {
        self.object.write().unwrap()
    }

    fn at(&mut self, section: SectionId, offset: u64) -> At {
        At {
            section,
            offset,
            symbol: self.object.section_symbol(section),
            addend: offset.try_into().unwrap(),
        }
    }

    fn section(&mut self, name: &'static str, kind: SectionKind) -> SectionId {
        let Self {
            sections, object, ..
        } = self;
        *sections
            .entry(name)
            .or_insert_with(|| object.add_section(Vec::new(), name.into(), kind))
    }

    fn symbol(&mut self, name: &str, kind: SymbolKind, at: At, size: u64) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.into(),
            value: at.offset,
            size,
            kind,
            scope: SymbolScope::Compilation,
            weak: false,
            section: SymbolSection::Section(at.section),
            flags: SymbolFlags::None,
        })
    }
}
