//! What all kinds of patches share: functions and objects, read with limits for
//! the whole module.

use lpwatch_common::patch::VMLINUX;
use strum::VariantArray as _;

use super::array::Steps;
use super::image::{DataPlace, Image};
use super::text::BadString;
use super::unread::Unread;
use super::{Callback, FUNCTIONS_MAX, OBJECTS_MAX, PatchObject, PatchState, PatchedFunction};

/// The parts of a patch that were found.
#[derive(Default)]
pub(super) struct RawPatch {
    pub objects: Vec<PatchObject>,
    pub replace: Option<bool>,
    pub states: Vec<PatchState>,
}

pub(super) struct PatchReader<'reader, 'elf, 'data> {
    pub image: &'reader Image<'elf, 'data>,
    pub unread: &'reader mut Unread,
    pub steps: Steps,
    /// Functions read so far, of all objects.
    functions: usize,
}

/// The places of a function structure's fields.
pub(super) struct FunctionFields {
    pub name: DataPlace,
    pub code: DataPlace,
    pub sympos: DataPlace,
}

impl FunctionFields {
    /// The fields of `klp_func`, and of `klp_func_ext` that klp-build uses.
    pub fn of_klp_func(place: DataPlace) -> Self {
        Self {
            name: place,
            code: place.plus(8),
            sympos: place.plus(16),
        }
    }
}

impl<'reader, 'elf, 'data> PatchReader<'reader, 'elf, 'data> {
    pub fn new(image: &'reader Image<'elf, 'data>, unread: &'reader mut Unread) -> Self {
        Self {
            image,
            unread,
            steps: Steps::new(),
            functions: 0,
        }
    }

    /// How many of `count` further functions may be read.
    pub fn room(&mut self, count: u64) -> usize {
        let room = FUNCTIONS_MAX - self.functions;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > room {
            self.unread.add(format!(
                "only the first {FUNCTIONS_MAX} functions were read"
            ));
        }
        self.functions += count.min(room);
        count.min(room)
    }

    /// Whether no further function may be read; if so, that is noted.
    pub fn is_full(&mut self) -> bool {
        self.functions >= FUNCTIONS_MAX && self.room(1) == 0
    }

    /// Notes if not all of `count` objects will be read.
    pub fn bound_objects(&mut self, count: u64) {
        if usize::try_from(count).map_or(true, |count| count > OBJECTS_MAX) {
            self.unread.add(format!(
                "only {OBJECTS_MAX} of {count} patched objects were read"
            ));
        }
    }

    /// The object that the pointer at `place` names; none names vmlinux.
    pub fn object_name(&mut self, place: DataPlace) -> Option<String> {
        if self.image.pointer(place).is_none() {
            return Some(VMLINUX.to_owned());
        }
        match self.image.text_behind(place) {
            Ok(name) => Some(name.to_owned()),
            Err(BadString::Empty) => Some(String::new()),
            Err(why) => {
                self.unread.add(format!("a patched object: its name {why}"));
                None
            }
        }
    }

    pub fn function(&mut self, fields: &FunctionFields, object: &str) -> Option<PatchedFunction> {
        let name = match self.image.text_behind(fields.name) {
            Ok(name) => name.to_owned(),
            Err(why) => {
                self.unread
                    .add(format!("a function of {object}: its name {why}"));
                return None;
            }
        };
        if !self.image.leads_to_code(fields.code) {
            self.unread.add(format!(
                "{name} of {object} has no new function: the kernel refuses it"
            ));
        }
        let sympos = self.image.u64(fields.sympos);
        let Some(sympos) = sympos.and_then(|sympos| u32::try_from(sympos).ok()) else {
            self.unread.add(format!(
                "{name} of {object}: its symbol position is not a number that lpwatch accepts"
            ));
            return None;
        };
        Some(PatchedFunction {
            name,
            sympos,
            new_function: self.image.function_name(fields.code),
        })
    }
}

/// The callbacks an object sets, of four pointers in the order of
/// `klp_callbacks`.
pub(super) fn callbacks(image: &Image<'_, '_>, place: DataPlace) -> Vec<Callback> {
    let places = (0..).map(|index| place.plus(index * 8));
    let set = Callback::VARIANTS
        .iter()
        .copied()
        .zip(places)
        .filter(|(_, place)| image.pointer(*place).is_some());
    set.map(|(callback, _)| callback).collect()
}
