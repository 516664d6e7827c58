//! Reads BTF: the header, the strings, and the types in the order of their ids.
//!
//! Format: `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h`, 5.10 to
//! 7.3. Every offset and length is checked, so bad input gives an error or a
//! type that is not found.

use std::{ops::Range, sync::OnceLock};

/// Why bytes are not BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("it has no BTF header of version 1")]
    Header,
    #[error("it is shorter than its header states")]
    Cut,
    #[error("its strings do not end")]
    Strings,
    #[error("type {id} is of the unknown kind {kind}")]
    Kind { id: u32, kind: u32 },
    #[error("type {id} is cut off")]
    Type { id: u32 },
}

/// The kinds of types that this reader distinguishes.
pub(super) mod kind {
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const TYPE_TAG: u32 = 18;
}

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Kernels may extend the header; it states its own length.
const HEADER_LENGTH: usize = 24;
/// Name, info, and a size or the id of another type.
const TYPE_LENGTH: usize = 12;
/// Name, type, offset in bits.
const MEMBER_LENGTH: usize = 12;

/// The types of one BTF file.
pub(super) struct Types {
    bytes: Vec<u8>,
    order: ByteOrder,
    strings: Range<usize>,
    /// The section of the types.
    section: Range<usize>,
    /// The offsets of all types in the section, beginning with id 1: 0 is void.
    starts: Vec<u32>,
    /// Made for the first name that is looked up.
    names: OnceLock<NameIndex>,
}

/// The ids of all named types, in chains of those whose names have the same hash.
struct NameIndex {
    /// The last id of each chain; 0 ends it.
    last: Vec<u32>,
    /// The id before each id, by index like `starts`.
    before: Vec<u32>,
}

impl NameIndex {
    /// How many chains: a power of two, about half the number of a kernel's types.
    const CHAINS: usize = 1 << 16;

    fn of(types: &Types) -> Self {
        let mut last = vec![0; Self::CHAINS];
        let mut before = Vec::with_capacity(types.starts.len());
        for (id, start) in (1_u32..).zip(&types.starts) {
            let name = types.name_at(*start).filter(|name| *name != 0);
            let rest = name.and_then(|name| types.string_at(name));
            let chain = rest.map(|rest| last.get_mut(Self::chain(rest)));
            before.push(match chain {
                Some(Some(last)) => std::mem::replace(last, id),
                _ => 0,
            });
        }
        Self { last, before }
    }

    /// The chain of a name, which ends at the first zero (FNV-1a).
    fn chain(name: &[u8]) -> usize {
        let name = name.iter().take_while(|byte| **byte != 0);
        let hash = name.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        usize::try_from(hash ^ hash >> 16).unwrap_or_default() % Self::CHAINS
    }

    /// The ids whose names have the hash of `name`, the highest first.
    fn candidates(&self, name: &str) -> impl Iterator<Item = u32> {
        let first = self.last.get(Self::chain(name.as_bytes())).copied();
        std::iter::successors(first, |id| {
            let index = usize::try_from(*id).ok()?.checked_sub(1)?;
            self.before.get(index).copied()
        })
        .take_while(|id| *id != 0)
    }
}

/// One type.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    name: u32,
    pub kind: u32,
    /// For a modifier: the id of the type that it modifies.
    pub target: u32,
    has_bitfields: bool,
    members: &'a [u8],
    order: ByteOrder,
}

/// A member of a struct or union.
pub(super) struct Member {
    pub name: u32,
    pub type_id: u32,
    /// Its offset in bits.
    pub bits: u32,
    pub is_bitfield: bool,
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Native,
    Swapped,
}

impl ByteOrder {
    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?);
        Some(match self {
            Self::Native => word,
            Self::Swapped => word.swap_bytes(),
        })
    }
}

impl Types {
    /// Takes the bytes of a BTF file, and locates its types.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let magic = bytes.first_chunk().copied().map(u16::from_ne_bytes);
        let order = match magic.ok_or(FormatError::Header)? {
            MAGIC => ByteOrder::Native,
            magic if magic.swap_bytes() == MAGIC => ByteOrder::Swapped,
            _ => return Err(FormatError::Header),
        };
        let field = |at| {
            let word = order.word(&bytes, at).ok_or(FormatError::Header)?;
            usize::try_from(word).map_err(|_| FormatError::Cut)
        };
        let header = field(4)?;
        if bytes.get(2) != Some(&VERSION) || header < HEADER_LENGTH {
            return Err(FormatError::Header);
        }
        let section = |at| section(bytes.len(), header, field(at)?, field(at + 4)?);
        let (types, strings) = (section(8)?, section(16)?);
        if !bytes.get(strings.clone()).is_some_and(is_terminated) {
            return Err(FormatError::Strings);
        }
        let starts = starts(bytes.get(types.clone()).unwrap_or_default(), order)?;
        Ok(Self {
            bytes,
            order,
            strings,
            section: types,
            starts,
            names: OnceLock::new(),
        })
    }

    pub fn get(&self, id: u32) -> Option<Type<'_>> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        let start = usize::try_from(*self.starts.get(index)?).ok()?;
        Type::read(self.section().get(start..)?, self.order)
    }

    /// The ids of all types of this name, whatever their kind; none for an empty name.
    pub fn named(&self, name: &str) -> Vec<u32> {
        let index = self.names.get_or_init(|| NameIndex::of(self));
        let is_named = |id: &u32| self.get(*id).is_some_and(|of| self.is_named(of.name, name));
        let mut ids: Vec<u32> = index.candidates(name).filter(is_named).collect();
        ids.reverse();
        ids
    }

    /// The offset of the name of the type that starts there.
    fn name_at(&self, start: u32) -> Option<u32> {
        self.order
            .word(self.section(), usize::try_from(start).ok()?)
    }

    pub fn name(&self, of: &Type<'_>) -> Option<String> {
        let rest = self.string_at(of.name)?;
        let name = rest.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Whether the name at this offset of the strings is `name`.
    pub fn is_named(&self, offset: u32, name: &str) -> bool {
        let rest = self
            .string_at(offset)
            .and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    fn string_at(&self, offset: u32) -> Option<&[u8]> {
        let strings = self.bytes.get(self.strings.clone())?;
        strings.get(usize::try_from(offset).ok()?..)
    }

    fn section(&self) -> &[u8] {
        self.bytes.get(self.section.clone()).unwrap_or_default()
    }
}

impl<'a> Type<'a> {
    /// The type at the beginning of `bytes`; without its members if these are
    /// cut off.
    fn read(bytes: &'a [u8], order: ByteOrder) -> Option<Self> {
        let info = order.word(bytes, 4)?;
        let kind = kind_of(info);
        let members = match kind {
            kind::STRUCT | kind::UNION => bytes.get(TYPE_LENGTH..length(info)?),
            _ => None,
        };
        Some(Self {
            name: order.word(bytes, 0)?,
            kind,
            target: order.word(bytes, 8)?,
            has_bitfields: info >> 31 == 1,
            members: members.unwrap_or_default(),
            order,
        })
    }

    /// The members; none unless it is a struct or union.
    pub fn members(self) -> impl Iterator<Item = Member> {
        let members = self.members.chunks_exact(MEMBER_LENGTH);
        members.filter_map(move |member| {
            let word = |at| self.order.word(member, at);
            let offset = word(8)?;
            // Where there are bitfields, the top byte has their size.
            let (bits, size) = if self.has_bitfields {
                (offset & 0x00ff_ffff, offset >> 24)
            } else {
                (offset, 0)
            };
            Some(Member {
                name: word(0)?,
                type_id: word(4)?,
                bits,
                is_bitfield: size > 0,
            })
        })
    }
}

/// The range of a section that begins `offset` bytes after the header.
fn section(
    file: usize,
    header: usize,
    offset: usize,
    length: usize,
) -> Result<Range<usize>, FormatError> {
    let begin = header.checked_add(offset);
    let end = begin.and_then(|begin| begin.checked_add(length));
    match begin.zip(end) {
        Some((begin, end)) if end <= file => Ok(begin..end),
        _ => Err(FormatError::Cut),
    }
}

/// Strings begin with the empty one, and each ends with a zero.
fn is_terminated(strings: &[u8]) -> bool {
    strings.first() == Some(&0) && strings.last() == Some(&0)
}

fn starts(types: &[u8], order: ByteOrder) -> Result<Vec<u32>, FormatError> {
    let mut starts = Vec::new();
    let mut at = 0;
    for id in 1_u32.. {
        if at == types.len() {
            break;
        }
        let cut = FormatError::Type { id };
        let info = order.word(types, at + 4).ok_or(cut)?;
        let kind = kind_of(info);
        let length = length(info).ok_or(FormatError::Kind { id, kind })?;
        starts.push(u32::try_from(at).map_err(|_| cut)?);
        at += length;
        if at > types.len() {
            return Err(cut);
        }
    }
    Ok(starts)
}

fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// The length of a type in bytes, from its kind and the number of its parts;
/// `None` for an unknown kind.
fn length(info: u32) -> Option<usize> {
    let count = usize::try_from(info & 0xffff).ok()?;
    let rest = match kind_of(info) {
        // Pointer, forward, typedef, volatile, const, restrict, function,
        // floating point, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Struct, union, section of data, enum of 64 bits.
        4 | 5 | 15 | 19 => 12 * count,
        // Enum, function prototype.
        6 | 13 => 8 * count,
        _ => return None,
    };
    Some(TYPE_LENGTH + rest)
}
