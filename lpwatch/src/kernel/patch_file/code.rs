//! Whether a patch replaces others, if only its module's code shows it.
//!
//! kpatch-build and klp-build make their `klp_patch` when the module is loaded:
//! `patch->mod = THIS_MODULE` and `patch->replace = true` (or `false`), on memory
//! that the compiler knows nothing of, so both stores are in the code. On x86-64
//! they are two instructions on one register; they are looked for close to each
//! other and believed where there is one answer. Tried on modules that
//! kpatch-build 0.9.11 made for 6.1 (gcc 12) and klp-build for 7.2 (gcc 16).

use object::SectionIndex;
use object::elf;
use object::read::elf::{Rela as _, SectionHeader as _};

use super::elf::Elf;
use super::image::{Image, Target};
use super::machine::Machine;

/// The offset of `replace` in `klp_patch` (5.5 on).
const REPLACE: u8 = 24;

/// How far from each other the two stores may be, in bytes.
const NEAR: usize = 128;

/// The most relocations of code, and stores of `THIS_MODULE`, that are
/// inspected.
const RELOCATIONS_MAX: usize = 1 << 20;
const STORES_MAX: usize = 64;

/// `None` if the code does not contain the known pattern.
pub(super) fn replaces(image: &Image<'_, '_>) -> Option<bool> {
    if image.elf.machine != Machine::X86_64 {
        return None;
    }
    let mut answer = None;
    for StoreInstruction { code, at, base } in stores(image) {
        let from = at.saturating_sub(NEAR);
        let to = code.len().min(at.saturating_add(NEAR));
        for value in values(code.get(from..to)?, base) {
            match (answer, value) {
                (None, 0 | 1) => answer = Some(value),
                (Some(known), value) if known == value => {}
                _ => return None,
            }
        }
    }
    answer.map(|value| value == 1)
}

/// `movq $__this_module, (base)`: the beginning of a `klp_patch`.
struct StoreInstruction<'data> {
    code: &'data [u8],
    at: usize,
    base: Base,
}

/// A register that holds an address, as instructions name it: the three bits in
/// the instruction, and the fourth in its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Base {
    low: u8,
    high: bool,
}

/// The number of the registers that need one byte more: rsp and r12.
const WITH_SIB: u8 = 4;

fn stores<'data>(image: &Image<'_, 'data>) -> Vec<StoreInstruction<'data>> {
    let elf = image.elf;
    let mut stores = Vec::new();
    let mut room = RELOCATIONS_MAX;
    for (SectionIndex(index), header) in elf.headers().enumerate() {
        let Some(code) = relocated_code(elf, index, header.sh_info(elf.endian)) else {
            continue;
        };
        let Ok(Some((entries, _))) = header.rela(elf.endian, elf.data) else {
            continue;
        };
        let entries = &entries[..entries.len().min(room)];
        room -= entries.len();
        for entry in entries {
            let symbol = usize::try_from(entry.r_sym(elf.endian, false)).unwrap_or(0);
            if entry.r_type(elf.endian, false) != elf::R_X86_64_32S
                || !is_this_module(image, symbol, entry.r_addend(elf.endian))
            {
                continue;
            }
            let at = usize::try_from(entry.r_offset(elf.endian)).unwrap_or(usize::MAX);
            let base = code.get(..at).and_then(stored_to);
            stores.extend(base.map(|base| StoreInstruction { code, at, base }));
            if stores.len() >= STORES_MAX {
                return stores;
            }
        }
    }
    stores
}

/// The bytes of the code that section `index` relocates.
fn relocated_code<'data>(elf: &Elf<'data>, index: usize, info: u32) -> Option<&'data [u8]> {
    if elf.sections.get(index)?.kind != elf::SHT_RELA {
        return None;
    }
    let target = elf.sections.get(usize::try_from(info).ok()?)?;
    target
        .bytes
        .filter(|_| target.is_loaded() && target.is_code())
}

fn is_this_module(image: &Image<'_, '_>, symbol: usize, addend: i64) -> bool {
    let symbol = image.elf.symbol(symbol);
    symbol.is_some_and(|symbol| match image.resolve(&symbol, addend) {
        Target::Inside(place) => image.is_this_module(place),
        Target::External(name) => name.is(b"__this_module"),
        Target::Nowhere => false,
    })
}

/// The register of a `movq $imm32, (base)` that lacks only its last four bytes.
fn stored_to(before: &[u8]) -> Option<Base> {
    let (prefix, low) = match *before {
        // r13 and rbp need an offset, which is 0.
        [.., prefix, 0xc7, 0x45, 0] => (prefix, 5),
        [.., 0x49, 0xc7, 0x04, 0x24] => (0x49, WITH_SIB),
        [.., prefix, 0xc7, low] if low < 8 && low != WITH_SIB && low != 5 => (prefix, low),
        _ => return None,
    };
    match prefix {
        0x48 => Some(Base { low, high: false }),
        0x49 => Some(Base { low, high: true }),
        _ => None,
    }
}

/// What each `movb $imm8, 24(base)` in `code` stores.
fn values(code: &[u8], base: Base) -> impl Iterator<Item = u8> {
    let Base { low, high } = base;
    let mut wanted = vec![0xc6, 0x40 | low];
    if low == WITH_SIB {
        wanted.push(0x24);
    }
    wanted.push(REPLACE);
    let length = wanted.len();
    (0..code.len()).filter_map(move |at| {
        let value = code.get(at + length)?;
        let prefixed = at.checked_sub(1).and_then(|before| code.get(before)) == Some(&0x41);
        (code.get(at..at + length) == Some(&wanted[..]) && prefixed == high).then_some(*value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_of_a_store_is_reported() {
        let base = |low, high| Some(Base { low, high });
        let told = |bytes: &[u8]| stored_to(bytes).map(|Base { low, high }| (low, high));
        for (bytes, expected) in [
            (&[0x48, 0xc7, 0x00][..], base(0, false)),
            (&[0x90, 0x48, 0xc7, 0x07], base(7, false)),
            (&[0x48, 0xc7, 0x45, 0x00], base(5, false)),
            (&[0x49, 0xc7, 0x45, 0x00], base(5, true)),
            (&[0x49, 0xc7, 0x04, 0x24], base(4, true)),
            (&[0x49, 0xc7, 0x07], base(7, true)),
            // To the stack, with an offset, of 32 bits, and cut short.
            (&[0x48, 0xc7, 0x04, 0x24], None),
            (&[0x48, 0xc7, 0x40, 0x08], None),
            (&[0x90, 0xc7, 0x00], None),
            (&[0xc7, 0x00], None),
            (&[], None),
        ] {
            let expected = expected.map(|Base { low, high }| (low, high));
            assert_eq!(told(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn only_stores_through_the_same_register_count() {
        let found =
            |code: &[u8], low, high| -> Vec<u8> { values(code, Base { low, high }).collect() };
        let rdi = [0xc6, 0x47, 0x18, 0x01];
        assert_eq!(found(&rdi, 7, false), [1]);
        assert_eq!(found(&rdi, 0, false), [0; 0]);
        assert_eq!(found(&rdi[..3], 7, false), [0; 0]);
        let r15 = [0x41, 0xc6, 0x47, 0x18, 0x00];
        assert_eq!(found(&r15, 7, true), [0]);
        assert_eq!(found(&r15, 7, false), [0; 0]);
        assert_eq!(found(&[0x41, 0xc6, 0x44, 0x24, 0x18, 1], 4, true), [1]);
    }
}
