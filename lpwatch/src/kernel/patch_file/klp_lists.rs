//! The lists of a patch written by hand: its `klp_object`s and their
//! `klp_func`s.

use super::array::{Array, Shape};
use super::image::{Image, Place};
use super::klp::Reader;
use super::{Callback, FUNCTIONS_MAX, OBJECTS_MAX, PatchObject, PatchedFunction};

/// Of `klp_func`: `old_name`, `new_func`, `old_sympos`.
const FUNCTION: Shape = Shape {
    pointers: &[0, 8],
    written: 24,
    usual: 152,
};
const NEW_FUNCTION: u64 = 8;
const SYMPOS: u64 = 16;

/// Of `klp_object`: `name`, `funcs`, the four callbacks and a flag of theirs.
const OBJECT: Shape = Shape {
    pointers: &[0, 8, 16, 24, 32, 40],
    written: 56,
    usual: 168,
};
const FUNCTIONS: u64 = 8;
pub(super) const CALLBACKS: u64 = 16;

impl Reader<'_, '_, '_> {
    pub(super) fn objects(&mut self, start: Place) -> Vec<PatchObject> {
        let image = self.image;
        let array = Array::find(image, &mut self.steps, start, &OBJECT, |place| {
            is_object(image, place)
        });
        let Some(array) = array else {
            self.unread
                .add("the list of patched objects does not have a form that lpwatch knows");
            return Vec::new();
        };
        if !array.terminated {
            self.unread
                .add("the list of patched objects has no end mark: the kernel will read past it");
        }
        let count = usize::try_from(array.count).unwrap_or(usize::MAX);
        if count > OBJECTS_MAX {
            self.unread.add(format!(
                "of {count} patched objects only {OBJECTS_MAX} were read"
            ));
        }
        let places = array.elements().take(OBJECTS_MAX);
        places.filter_map(|place| self.object(place)).collect()
    }

    fn object(&mut self, place: Place) -> Option<PatchObject> {
        let name = match self.image.pointer(place) {
            None => "vmlinux".to_owned(),
            Some(_) => match self.image.text_behind(place) {
                Ok(name) => name.to_owned(),
                Err(why) => {
                    self.unread.add(format!("a patched object: its name {why}"));
                    return None;
                }
            },
        };
        let functions = if let Some(start) = self.image.data_at(place.plus(FUNCTIONS)) {
            self.functions(start, &name)
        } else {
            self.unread.add(format!(
                "the functions of {name}: they are not in the module's data"
            ));
            Vec::new()
        };
        let callbacks = callbacks(self.image, place.plus(CALLBACKS));
        Some(PatchObject {
            name,
            functions,
            callbacks,
        })
    }

    fn functions(&mut self, start: Place, object: &str) -> Vec<PatchedFunction> {
        let image = self.image;
        let array = Array::find(image, &mut self.steps, start, &FUNCTION, |place| {
            is_function(image, place)
        });
        let Some(array) = array else {
            self.unread.add(format!(
                "the functions of {object}: their list does not have a form that lpwatch knows"
            ));
            return Vec::new();
        };
        if !array.terminated {
            self.unread.add(format!(
                "the list of functions of {object} has no end mark: the kernel will read past it"
            ));
        }
        let room = FUNCTIONS_MAX - self.functions;
        let count = usize::try_from(array.count).unwrap_or(usize::MAX);
        if count > room {
            self.unread.add(format!(
                "only the first {FUNCTIONS_MAX} functions were read"
            ));
        }
        self.functions += count.min(room);
        let places = array.elements().take(room);
        places
            .filter_map(|place| self.function(place, object))
            .collect()
    }

    fn function(&mut self, place: Place, object: &str) -> Option<PatchedFunction> {
        let name = match self.image.text_behind(place) {
            Ok(name) => name.to_owned(),
            Err(why) => {
                self.unread
                    .add(format!("a function of {object}: its name {why}"));
                return None;
            }
        };
        let code = place.plus(NEW_FUNCTION);
        if self.image.pointer(code).is_none() {
            self.unread.add(format!(
                "{name} of {object} has no new function: the kernel refuses it"
            ));
        }
        let new_function = self.image.function_name(code);
        let sympos = self.image.u64(place.plus(SYMPOS)).unwrap_or_default();
        let Ok(sympos) = u32::try_from(sympos) else {
            self.unread.add(format!(
                "{name} of {object}: its symbol position {sympos} is too large"
            ));
            return None;
        };
        Some(PatchedFunction {
            name,
            sympos,
            new_function,
        })
    }
}

/// The callbacks an object sets, of four pointers in the order of
/// `klp_callbacks`.
pub(super) fn callbacks(image: &Image<'_, '_>, place: Place) -> Vec<Callback> {
    let all = [
        Callback::PrePatch,
        Callback::PostPatch,
        Callback::PreUnpatch,
        Callback::PostUnpatch,
    ];
    let places = (0..).map(|index| place.plus(index * 8));
    let set = all
        .into_iter()
        .zip(places)
        .filter(|(_, place)| image.pointer(*place).is_some());
    set.map(|(callback, _)| callback).collect()
}

/// Whether this may be a `klp_object`: a name or none, and functions or an empty
/// list of them.
pub(super) fn is_object(image: &Image<'_, '_>, place: Place) -> bool {
    let Some(functions) = image.data_at(place.plus(FUNCTIONS)) else {
        return false;
    };
    (image.leads_to_text(place) || image.is_blank(place, 8))
        && (is_function(image, functions) || image.is_blank(functions, FUNCTION.written))
}

/// Whether this may be a `klp_func`: a name, and code or none.
fn is_function(image: &Image<'_, '_>, place: Place) -> bool {
    let code = place.plus(NEW_FUNCTION);
    image.leads_to_text(place) && (image.leads_to_code(code) || image.is_blank(code, 8))
}
