//! The header of a module file: whether it is a module, and where its section
//! headers are.

use object::Endianness;
use object::elf::{self, FileHeader64, Ident};
use object::read::elf::{FileHeader, SectionTable};

use super::error::Problem;
use super::machine::Machine;

pub(super) type Header = FileHeader64<Endianness>;

pub(super) fn read_header(data: &[u8]) -> Result<&Header, Problem> {
    if data.is_empty() {
        return Err(Problem::Empty);
    }
    let magic = &elf::ELFMAG[..];
    if data.len() < magic.len() {
        return Err(if magic.starts_with(data) {
            truncated("the ELF header", size_of::<Header>(), data)
        } else {
            Problem::NotElf
        });
    }
    if !data.starts_with(magic) {
        return Err(Problem::NotElf);
    }
    if data.len() < size_of::<Ident>() {
        return Err(truncated("the ELF header", size_of::<Header>(), data));
    }
    if data.get(4) == Some(&elf::ELFCLASS32) {
        return Err(Problem::Bits32);
    }
    if data.len() < size_of::<Header>() {
        return Err(truncated("the ELF header", size_of::<Header>(), data));
    }
    Header::parse(data).map_err(damaged)
}

pub(super) fn section_headers<'data>(
    header: &'data Header,
    endian: Endianness,
    data: &'data [u8],
) -> Result<SectionTable<'data, Header>, Problem> {
    // The kernel takes the count from the header only (no extended numbering).
    let count = header.e_shnum(endian);
    if count == 0 || header.e_shoff(endian) == 0 {
        let what = "it has no sections".to_owned();
        return Err(Problem::Damaged { what });
    }
    let room = u64::from(count) * u64::from(header.e_shentsize(endian));
    within("the section headers", header.e_shoff(endian), room, data)?;
    header.sections(endian, data).map_err(damaged)
}

/// The processor of a relocatable file.
pub(super) fn machine(header: &Header, endian: Endianness) -> Result<Machine, Problem> {
    if header.e_type(endian) != elf::ET_REL {
        let what = type_name(header.e_type(endian));
        return Err(Problem::NotRelocatable { what });
    }
    let machine = header.e_machine(endian);
    let order = match endian {
        Endianness::Little => "little-endian",
        Endianness::Big => "big-endian",
    };
    Machine::of(machine, endian == Endianness::Little)
        .ok_or(Problem::UnknownMachine { machine, order })
}

/// Whether `size` bytes at `offset` lie in the file.
pub(super) fn within(
    what: &'static str,
    offset: u64,
    size: u64,
    data: &[u8],
) -> Result<(), Problem> {
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    match offset.checked_add(size) {
        Some(end) if end <= length => Ok(()),
        end => Err(Problem::Truncated {
            what,
            needed: end.unwrap_or(u64::MAX),
            size: length,
        }),
    }
}

fn truncated(what: &'static str, needed: usize, data: &[u8]) -> Problem {
    let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Problem::Truncated {
        what,
        needed: length(needed),
        size: length(data.len()),
    }
}

/// What the ELF crate reports of a structure that is wrong in itself.
pub(super) fn damaged(error: object::read::Error) -> Problem {
    let what = error.to_string();
    Problem::Damaged { what }
}

fn type_name(e_type: u16) -> &'static str {
    match e_type {
        elf::ET_EXEC => "a program",
        elf::ET_DYN => "a program or a shared library",
        elf::ET_CORE => "a core dump",
        _ => "an ELF file of another kind",
    }
}
