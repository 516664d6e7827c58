//! Patches made by the kernel's own klp-build (scripts/livepatch, from 6.19): the
//! module's code makes its `klp_patch` when it is loaded, of compact structures
//! that objtool put into two sections.
//!
//! Source: `include/linux/livepatch_external.h` of 7.2, tools/objtool/klp-diff.c
//! and scripts/livepatch/init.c.

use super::code;
use super::image::{DataPlace, Image};
use super::reader::{FunctionFields, PatchReader, RawPatch, callbacks};
use super::unread::Unread;
use super::{OBJECTS_MAX, PatchObject, PatchedFunction};

/// The section of `klp_object_ext`; the second is its name in 6.19's first
/// versions.
const SECTIONS: [&[u8]; 2] = [b".init.klp_objects", b"__klp_objects"];

/// `klp_object_ext {name, funcs, callbacks, nr_funcs}`.
const OBJECT_SIZE: u64 = 64;
const FUNCTIONS: u64 = 8;
const CALLBACKS: u64 = 16;
const COUNT: u64 = 56;

/// `klp_func_ext {old_name, new_func, sympos}`.
const FUNCTION_SIZE: u64 = 24;

/// Reads the module's patch; `None` if klp-build did not make it.
pub(super) fn read(image: &Image<'_, '_>, unread: &mut Unread) -> Option<RawPatch> {
    let mut names = SECTIONS.iter();
    let section = names.find_map(|name| image.elf.section_named(name))?;
    let mut reader = PatchReader::new(image, unread);
    let size = image.elf.sections.get(section)?.size;
    if size == 0 || !size.is_multiple_of(OBJECT_SIZE) {
        reader.unread.add(format!(
            "what it patches: klp-build left {size} bytes of objects, which is not a number of them"
        ));
        return Some(RawPatch::default());
    }
    let count = size / OBJECT_SIZE;
    reader.bound_objects(count);
    let places = (0..count).map(|index| DataPlace {
        section,
        offset: index * OBJECT_SIZE,
    });
    let objects = places.take(OBJECTS_MAX);
    Some(RawPatch {
        objects: objects
            .filter_map(|place| reader.object_ext(place))
            .collect(),
        replace: code::replaces(image),
        ..RawPatch::default()
    })
}

impl PatchReader<'_, '_, '_> {
    fn object_ext(&mut self, place: DataPlace) -> Option<PatchObject> {
        let name = self.object_name(place)?;
        let count = self.image.u32(place.plus(COUNT)).unwrap_or_default();
        Some(PatchObject {
            functions: self.functions_ext(place.plus(FUNCTIONS), u64::from(count), &name),
            name,
            callbacks: callbacks(self.image, place.plus(CALLBACKS)),
        })
    }

    fn functions_ext(&mut self, at: DataPlace, count: u64, object: &str) -> Vec<PatchedFunction> {
        let start = self.image.data_at(at);
        let Some(start) = start.filter(|start| self.holds(*start, count * FUNCTION_SIZE)) else {
            if count > 0 {
                self.unread.add(format!(
                    "the functions of {object}: they are not in the module's data"
                ));
            }
            return Vec::new();
        };
        let places = (0..count).map(|index| start.plus(index * FUNCTION_SIZE));
        let places = places.take(self.room(count));
        places
            .filter_map(|place| self.function(&FunctionFields::of_klp_func(place), object))
            .collect()
    }

    /// Whether this many bytes are in the section of `start`.
    fn holds(&self, start: DataPlace, bytes: u64) -> bool {
        let section = self.image.elf.sections.get(start.section);
        section.is_some_and(|section| start.plus(bytes).offset <= section.size)
    }
}
