//! The names in a module's data: strings, and the symbols of functions.

use object::elf;

use super::image::{DataPlace, Image, Target};

/// `KSYM_NAME_LEN`, with the final zero.
pub(super) const NAME_MAX: u64 = 512;

/// Why a string of the module cannot be read; continues a sentence about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadString {
    #[error("is not in the module's data")]
    Outside,
    #[error("has no end within {NAME_MAX} bytes, the kernel's limit")]
    Endless,
    #[error("is empty")]
    Empty,
    #[error("is not UTF-8")]
    NotText,
}

impl<'data> Image<'_, 'data> {
    /// The text at `place`, up to a zero and within the kernel's limit.
    fn text(&self, place: DataPlace) -> Result<&'data str, BadString> {
        let section = self.elf.sections.get(place.section);
        let left = section.and_then(|section| section.size.checked_sub(place.offset));
        let room = left.ok_or(BadString::Outside)?.min(NAME_MAX);
        let Ok(Some(bytes)) = self.bytes(place, room) else {
            return Err(BadString::Outside);
        };
        let end = bytes.iter().position(|byte| *byte == 0);
        match end.map(|end| &bytes[..end]) {
            None => Err(BadString::Endless),
            Some([]) => Err(BadString::Empty),
            Some(text) => str::from_utf8(text).map_err(|_| BadString::NotText),
        }
    }

    /// Whether the pointer at `place` leads to what may be text.
    pub fn leads_to_text(&self, place: DataPlace) -> bool {
        self.data_at(place)
            .and_then(|text| self.u8(text))
            .is_some_and(|first| first != 0)
    }

    /// Whether the pointer at `place` leads to an empty text.
    pub fn leads_to_empty_text(&self, place: DataPlace) -> bool {
        self.text_behind(place) == Err(BadString::Empty)
    }

    /// The text that the pointer at `place` leads to.
    pub fn text_behind(&self, place: DataPlace) -> Result<&'data str, BadString> {
        self.text(self.data_at(place).ok_or(BadString::Outside)?)
    }

    /// The name of the function that a pointer leads to; `None` if no symbol
    /// has it.
    pub fn function_name(&self, place: DataPlace) -> Option<String> {
        // The pointer's own symbol first: several may lie at one address.
        let own = self.pointer_at(place).and_then(|pointer| {
            let symbol = self.elf.symbol(pointer.symbol)?;
            (pointer.addend == 0 && symbol.kind != elf::STT_SECTION).then_some(symbol)
        });
        let symbol = own.or_else(|| match self.pointer(place)? {
            Target::Inside(code) => self
                .named_at(code)
                .find(|symbol| symbol.kind == elf::STT_FUNC),
            Target::External(_) | Target::Nowhere => None,
        })?;
        let name = str::from_utf8(symbol.name.bytes()).ok()?;
        (!name.is_empty()).then(|| name.to_owned())
    }
}
