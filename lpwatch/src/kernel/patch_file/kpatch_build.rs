//! Patches made by kpatch-build: the module's code makes its `klp_patch` when it
//! is loaded, of structures that create-diff-object put into sections.
//!
//! Source: kpatch's kmod/patch/kpatch-patch.h, livepatch-patch-hook.c and
//! kpatch.lds.S, 0.9. Its first two versions had no `sympos`.

use super::code;
use super::image::{DataPlace, Image};
use super::reader::{FunctionFields, PatchReader, RawPatch};
use super::unread::Unread;
use super::{Callback, OBJECTS_MAX, PatchObject};

/// `kpatch_patch_func {new_addr, new_size, old_addr, old_size, sympos, name,
/// objname}`.
const FUNCTION_SIZE: u64 = 56;
const NEW_FUNCTION: u64 = 0;
const SYMPOS: u64 = 32;
const NAME: u64 = 40;
const OBJECT_NAME: u64 = 48;

/// `kpatch_pre_patch_callback {callback, objname}` and its like.
const CALLBACK_SIZE: u64 = 16;
const CALLBACK_OBJECT: u64 = 8;
const CALLBACKS: [(&[u8], Callback); 4] = [
    (b".kpatch.callbacks.pre_patch", Callback::PrePatch),
    (b".kpatch.callbacks.post_patch", Callback::PostPatch),
    (b".kpatch.callbacks.pre_unpatch", Callback::PreUnpatch),
    (b".kpatch.callbacks.post_unpatch", Callback::PostUnpatch),
];

/// Reads the module's patch; `None` if kpatch-build did not make it.
pub(super) fn read(image: &Image<'_, '_>, unread: &mut Unread) -> Option<RawPatch> {
    let section = image.elf.section_named(b".kpatch.funcs")?;
    let size = image.elf.sections.get(section)?.size;
    let mut reader = PatchReader::new(image, unread);
    let mut patch = RawPatch::default();
    if !size.is_multiple_of(FUNCTION_SIZE) {
        reader.unread.add(format!(
            "what it patches: kpatch-build left {size} bytes of functions, which is not a number of those lpwatch knows (it may be older than 0.3)"
        ));
        return Some(patch);
    }
    let count = size / FUNCTION_SIZE;
    let room = reader.room(count);
    for index in (0..count).take(room) {
        let offset = index * FUNCTION_SIZE;
        reader.patch_func(DataPlace { section, offset }, &mut patch.objects);
    }
    for (name, callback) in CALLBACKS {
        if let Some(section) = image.elf.section_named(name) {
            reader.callbacks(section, callback, &mut patch.objects);
        }
    }
    if patch.objects.is_empty() && reader.unread.is_empty() {
        reader
            .unread
            .add("what it patches: kpatch-build left nothing");
    }
    patch.replace = code::replaces(image);
    Some(patch)
}

impl PatchReader<'_, '_, '_> {
    fn patch_func(&mut self, place: DataPlace, objects: &mut Vec<PatchObject>) {
        let Some(object) = self.named_object(place.plus(OBJECT_NAME), objects) else {
            return;
        };
        let fields = FunctionFields {
            name: place.plus(NAME),
            code: place.plus(NEW_FUNCTION),
            sympos: place.plus(SYMPOS),
        };
        let function = self.function(&fields, &object.name);
        object.functions.extend(function);
    }

    fn callbacks(&mut self, section: usize, callback: Callback, objects: &mut Vec<PatchObject>) {
        let size = self
            .image
            .elf
            .sections
            .get(section)
            .map_or(0, |section| section.size);
        let count = size / CALLBACK_SIZE;
        self.bound_objects(count);
        // The linker script adds eight blank bytes, so that the section stays.
        for index in (0..count).take(OBJECTS_MAX) {
            let offset = index * CALLBACK_SIZE;
            let place = DataPlace { section, offset };
            if self.image.pointer(place).is_none() {
                continue;
            }
            let object = self.named_object(place.plus(CALLBACK_OBJECT), objects);
            if let Some(object) = object.filter(|object| !object.callbacks.contains(&callback)) {
                object.callbacks.push(callback);
            }
        }
    }

    /// The object that the pointer at `place` names, added if it is new.
    fn named_object<'objects>(
        &mut self,
        place: DataPlace,
        objects: &'objects mut Vec<PatchObject>,
    ) -> Option<&'objects mut PatchObject> {
        // kpatch-build names vmlinux as any other.
        let name = match self.image.text_behind(place) {
            Ok(name) => name,
            Err(why) => {
                self.unread.add(format!("a patched object: its name {why}"));
                return None;
            }
        };
        let known = objects.iter().position(|object| object.name == name);
        let index = known.unwrap_or(objects.len());
        if known.is_none() {
            if objects.len() >= OBJECTS_MAX {
                self.bound_objects(u64::MAX);
                return None;
            }
            objects.push(PatchObject {
                name: name.to_owned(),
                functions: Vec::new(),
                callbacks: Vec::new(),
            });
        }
        objects.get_mut(index)
    }
}
