//! Symbols that the kernel is to find by name, as kpatch-build leaves them.

use object::read::elf::{ElfFile64, FileHeader as _, Sym as _};
use object::{Endianness, SectionFlags, SectionKind, elf};

use super::build::Module;
use super::patch::{ObjectSource, PatchSource};
use super::{read, tools};
use crate::kernel::patch_file::{PatchFile, UsedSymbol};

const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
const SHN_LIVEPATCH: u16 = 0xff20;
const ENTRY: usize = 24;

/// A section of relocations, with the names of its symbols.
type Relocations<'a> = (&'static str, &'a [&'a str]);

fn patch_of_one_function() -> Module {
    let mut module = Module::livepatch();
    PatchSource::of(vec![ObjectSource::of(None, &[("f", 0)])]).add_to(&mut module);
    module
}

/// Adds them to a module: the writer knows neither the sections nor the mark of
/// the symbols, so both are put into what it wrote.
fn with_symbols(mut module: Module, sections: &[Relocations<'_>], mark: u16) -> Vec<u8> {
    for (section, names) in sections {
        let blank = vec![0; names.len() * ENTRY];
        let kind = SectionKind::Elf(elf::SHT_RELA);
        let at = module.append(section, kind, &blank, 8);
        module.object.section_mut(at.section).flags = SectionFlags::Elf {
            sh_flags: SHF_RELA_LIVEPATCH | u64::from(elf::SHF_ALLOC),
        };
        for name in *names {
            module.external(name);
        }
    }
    let mut bytes = module.finish();
    let (symbols, starts) = places(&bytes, sections);
    for (number, (section, names)) in sections.iter().enumerate() {
        for (entry, name) in names.iter().enumerate() {
            let place = symbols.iter().position(|(symbol, _)| symbol == name);
            let index = place.unwrap_or_else(|| panic!("{section}: {name}"));
            let info = starts[number] + entry * ENTRY + 8;
            let r_info = (u64::try_from(index).unwrap() << 32) | 1;
            bytes[info..info + 8].copy_from_slice(&r_info.to_le_bytes());
            let shndx = symbols[index].1 + 6;
            bytes[shndx..shndx + 2].copy_from_slice(&mark.to_le_bytes());
        }
    }
    bytes
}

/// Each symbol's name and place in the file, and where the sections begin.
fn places(bytes: &[u8], sections: &[Relocations<'_>]) -> (Vec<(String, usize)>, Vec<usize>) {
    let file = ElfFile64::<Endianness>::parse(bytes).unwrap();
    let (header, endian) = (file.elf_header(), file.endian());
    let table = header.sections(endian, bytes).unwrap();
    let (_, symtab) = table
        .enumerate()
        .find(|(_, section)| section.sh_type.get(endian) == elf::SHT_SYMTAB)
        .unwrap();
    let start = usize::try_from(symtab.sh_offset.get(endian)).unwrap();
    let symbols = table.symbols(endian, bytes, elf::SHT_SYMTAB).unwrap();
    let names = symbols.iter().enumerate().map(|(index, symbol)| {
        let name = symbol.name(endian, symbols.strings()).unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        (name, start + index * ENTRY)
    });
    let starts = sections.iter().map(|(name, _)| {
        let (_, section) = table.section_by_name(endian, name.as_bytes()).unwrap();
        usize::try_from(section.sh_offset.get(endian)).unwrap()
    });
    (names.collect(), starts.collect())
}

fn used(file: &PatchFile) -> Vec<String> {
    let used = file.uses.iter();
    used.map(|used| {
        let UsedSymbol {
            with,
            object,
            name,
            sympos,
        } = used;
        format!("{with}: {object}:{name},{sympos}")
    })
    .collect()
}

/// With symbols of vmlinux and of a module.
pub fn module() -> Vec<u8> {
    let sections: [Relocations<'_>; 2] = [
        (
            ".klp.rela.vmlinux..text",
            &[
                ".klp.sym.vmlinux.init_task,0",
                ".klp.sym.vmlinux.init_task,0",
                ".klp.sym.vmlinux.run_once.part.3,2",
            ],
        ),
        (
            ".klp.rela.ext4..text.ext4_statfs",
            &[".klp.sym.ext4.ext4_count,1"],
        ),
    ];
    with_symbols(patch_of_one_function(), &sections, SHN_LIVEPATCH)
}

#[test]
fn symbols_are_read_with_the_object_they_are_found_with() {
    let file = read(&module());
    assert_eq!(file.unread, [""; 0]);
    let expected = [
        "ext4: ext4:ext4_count,1",
        "vmlinux: vmlinux:init_task,0",
        "vmlinux: vmlinux:run_once.part.3,2",
    ];
    assert_eq!(used(&file), expected);
}

#[test]
fn symbols_that_the_kernel_would_not_take_are_reported() {
    for name in [
        "init_task",
        ".klp.sym.init_task,0",
        ".klp.sym.vmlinux.init_task",
        ".klp.sym.vmlinux.init_task,x",
        ".klp.sym..init_task,0",
        ".klp.sym.vmlinux.,0",
        ".klp.sym.vmlinux.init_task,99999999999",
    ] {
        let sections: [Relocations<'_>; 1] = [(".klp.rela.vmlinux..text", &[name])];
        let module = with_symbols(patch_of_one_function(), &sections, SHN_LIVEPATCH);
        let file = read(&module);
        assert_eq!(used(&file), [""; 0], "{name}");
        assert_eq!(file.unread.len(), 1, "{name}");
        assert!(file.unread[0].contains(name), "{:?}", file.unread);
    }
    // Not marked as one that the kernel is to find.
    let sections: [Relocations<'_>; 1] =
        [(".klp.rela.vmlinux..text", &[".klp.sym.vmlinux.init_task,0"])];
    let file = read(&with_symbols(patch_of_one_function(), &sections, 0));
    assert_eq!((file.uses.len(), file.unread.len()), (0, 1));
}

#[test]
fn modules_without_such_relocations_use_none() {
    for module in [tools::kpatch_module(), tools::klp_module()] {
        assert_eq!(read(&module).uses, []);
    }
}
