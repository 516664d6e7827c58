//! The data of a module as the kernel will have it: bytes, and the pointers
//! that relocations will put between them.

use std::ops::Range;

use object::{Endian as _, elf};

use super::elf::{Elf, ElfSymbol, Name, Section};
use super::index::{Index, Named, Pointer};
use super::unread::Unread;

/// The most names of one place that are inspected.
const ALIASES_MAX: usize = 16;

/// A place in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataPlace {
    pub section: usize,
    pub offset: u64,
}

impl DataPlace {
    /// `bytes` further on; offsets are bounded by the file, so a sum that does
    /// not fit is only ever outside.
    pub fn plus(self, bytes: u64) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }
}

/// The target of a pointer.
#[derive(Clone, Copy)]
pub(super) enum Target<'data> {
    Inside(DataPlace),
    /// A symbol of the kernel or of another module.
    External(Name<'data>),
    /// To no place of the module.
    Nowhere,
}

/// The module's data, pointers and the symbols that have a place in it.
pub(super) struct Image<'elf, 'data> {
    pub elf: &'elf Elf<'data>,
    index: Index,
}

impl<'elf, 'data> Image<'elf, 'data> {
    pub fn new(elf: &'elf Elf<'data>, unread: &mut Unread) -> Self {
        Self {
            elf,
            index: Index::new(elf, unread),
        }
    }

    /// The target of the pointer stored at exactly `place`; `None` if no
    /// relocation makes it one.
    pub fn pointer(&self, place: DataPlace) -> Option<Target<'data>> {
        let pointer = self.pointer_at(place)?;
        let Some(symbol) = self.elf.symbol(pointer.symbol) else {
            return Some(Target::Nowhere);
        };
        Some(self.resolve(&symbol, pointer.addend))
    }

    pub fn resolve(&self, symbol: &ElfSymbol<'data>, addend: i64) -> Target<'data> {
        let Some(section) = symbol.section else {
            return if symbol.name.is_empty() {
                Target::Nowhere
            } else {
                Target::External(symbol.name)
            };
        };
        let offset = symbol.value.checked_add_signed(addend);
        match (offset, self.elf.sections.get(section)) {
            (Some(offset), Some(found)) if offset <= found.size => {
                Target::Inside(DataPlace { section, offset })
            }
            _ => Target::Nowhere,
        }
    }

    /// All places of a section that hold a pointer.
    pub fn pointers_in(&self, section: usize, range: Range<u64>) -> impl Iterator<Item = u64> {
        let all = self.pointers(section);
        let from = all.partition_point(|pointer| pointer.offset < range.start);
        all[from..]
            .iter()
            .map(|pointer| pointer.offset)
            .take_while(move |offset| *offset < range.end)
    }

    /// Sections with pointers, in the file's order.
    pub fn sections_with_pointers(&self) -> impl Iterator<Item = usize> {
        self.index.pointers.keys().copied()
    }

    fn pointers(&self, section: usize) -> &[Pointer] {
        let all = self.index.pointers.get(&section);
        all.map_or(&[][..], Vec::as_slice)
    }

    fn named(&self, section: usize) -> &[Named] {
        let all = self.index.named.get(&section);
        all.map_or(&[][..], Vec::as_slice)
    }

    pub fn pointer_at(&self, place: DataPlace) -> Option<&Pointer> {
        let all = self.pointers(place.section);
        let at = all
            .binary_search_by_key(&place.offset, |pointer| pointer.offset)
            .ok()?;
        all.get(at)
    }

    /// The bytes of a range, which must lie in its section; `None` for those of
    /// a section without bytes in the file, which are all zero.
    pub fn bytes(&self, place: DataPlace, length: u64) -> Result<Option<&'data [u8]>, ()> {
        let section = self.elf.sections.get(place.section).ok_or(())?;
        let end = place.offset.checked_add(length).ok_or(())?;
        if end > section.size {
            return Err(());
        }
        let Some(bytes) = section.bytes else {
            return Ok(None);
        };
        let from = usize::try_from(place.offset).map_err(drop)?;
        let to = usize::try_from(end).map_err(drop)?;
        bytes.get(from..to).ok_or(()).map(Some)
    }

    /// The number stored at `place` as `N` bytes in the module's byte order.
    fn number<const N: usize>(&self, place: DataPlace) -> Option<[u8; N]> {
        match self.bytes(place, u64::try_from(N).ok()?) {
            Ok(None) => Some([0; N]),
            Ok(Some(bytes)) => bytes.try_into().ok(),
            Err(()) => None,
        }
    }

    pub fn u64(&self, place: DataPlace) -> Option<u64> {
        let bytes = self.number(place)?;
        Some(self.elf.endian.read_u64(bytes))
    }

    pub fn u32(&self, place: DataPlace) -> Option<u32> {
        let bytes = self.number(place)?;
        Some(self.elf.endian.read_u32(bytes))
    }

    pub fn u8(&self, place: DataPlace) -> Option<u8> {
        self.number::<1>(place).map(|[byte]| byte)
    }

    /// Whether these bytes are all zero and stay so: no pointer is among them.
    /// False where they do not lie in the section.
    pub fn is_blank(&self, place: DataPlace, length: u64) -> bool {
        let end = place.offset.saturating_add(length);
        let zero = match self.bytes(place, length) {
            Ok(None) => true,
            Ok(Some(bytes)) => bytes.iter().all(|byte| *byte == 0),
            Err(()) => false,
        };
        zero && self
            .pointers_in(place.section, place.offset..end)
            .next()
            .is_none()
    }

    /// Whether the pointer at `place` is `THIS_MODULE`.
    pub fn leads_to_this_module(&self, place: DataPlace) -> bool {
        match self.pointer(place) {
            Some(Target::Inside(found)) => self.is_this_module(found),
            Some(Target::External(name)) => name.is(b"__this_module"),
            Some(Target::Nowhere) | None => false,
        }
    }

    /// Whether `place` is the module's own `struct module`, which modpost puts
    /// into a section of its own.
    pub fn is_this_module(&self, place: DataPlace) -> bool {
        let section = self.elf.sections.get(place.section);
        place.offset == 0
            && section.is_some_and(|section| section.name == b".gnu.linkonce.this_module")
    }

    /// The place in the module's data that the pointer at `place` leads to.
    pub fn data_at(&self, place: DataPlace) -> Option<DataPlace> {
        match self.pointer(place)? {
            Target::Inside(found) => self
                .elf
                .sections
                .get(found.section)?
                .is_data()
                .then_some(found),
            Target::External(_) | Target::Nowhere => None,
        }
    }

    /// Whether the pointer at `place` leads to code, of the module or outside.
    pub fn leads_to_code(&self, place: DataPlace) -> bool {
        match self.pointer(place) {
            Some(Target::Inside(found)) => {
                let section = self.elf.sections.get(found.section);
                section.is_some_and(Section::is_code)
            }
            Some(Target::External(_)) => true,
            Some(Target::Nowhere) | None => false,
        }
    }

    /// The size of the object that begins at `place`, where a symbol says.
    pub fn object_size(&self, place: DataPlace) -> Option<u64> {
        self.named_at(place)
            .find(|symbol| symbol.kind == elf::STT_OBJECT && symbol.size > 0)
            .map(|symbol| symbol.size)
    }

    /// Where the next symbol after `place` begins, or its section ends.
    pub fn next_start(&self, place: DataPlace) -> u64 {
        let all = self.named(place.section);
        let next = all.partition_point(|named| named.value <= place.offset);
        let size = self.elf.sections.get(place.section);
        let size = size.map_or(0, |section| section.size);
        all.get(next).map_or(size, |named| named.value.min(size))
    }

    pub fn named_at(&self, place: DataPlace) -> impl Iterator<Item = ElfSymbol<'data>> {
        let all = self.named(place.section);
        let from = all.partition_point(|named| named.value < place.offset);
        all[from..]
            .iter()
            .take_while(move |named| named.value == place.offset)
            .take(ALIASES_MAX)
            .filter_map(|named| self.elf.symbol(named.symbol))
    }
}
