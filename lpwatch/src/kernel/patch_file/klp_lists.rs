//! The lists of a patch written by hand: its `klp_object`s and their
//! `klp_func`s.

use super::array::{Array, Shape};
use super::image::{DataPlace, Image};
use super::reader::{FunctionFields, PatchReader, callbacks};
use super::{OBJECTS_MAX, PatchObject, PatchedFunction};

/// Of `klp_func`: `old_name`, `new_func`, `old_sympos`.
const FUNCTION: Shape = Shape {
    pointers: &[0, 8],
    written: 24,
    usual: 152,
};
const NEW_FUNCTION: u64 = 8;

/// Of `klp_object`: `name`, `funcs`, the four callbacks and a flag of theirs.
const OBJECT: Shape = Shape {
    pointers: &[0, 8, 16, 24, 32, 40],
    written: 56,
    usual: 168,
};
const FUNCTIONS: u64 = 8;
const CALLBACKS: u64 = 16;

impl PatchReader<'_, '_, '_> {
    pub(super) fn objects(&mut self, start: DataPlace) -> Vec<PatchObject> {
        let image = self.image;
        let array = Array::find(image, &mut self.steps, start, &OBJECT, |place| {
            is_object(image, place)
        });
        let Some(array) = array else {
            self.unread
                .add("the list of patched objects has a form that lpwatch does not know");
            return Vec::new();
        };
        if !array.terminated {
            self.unread
                .add("the list of patched objects has no end mark: the kernel will read past it");
        }
        self.bound_objects(array.count);
        let places = array.elements().take(OBJECTS_MAX);
        places.filter_map(|place| self.object(place)).collect()
    }

    fn object(&mut self, place: DataPlace) -> Option<PatchObject> {
        let name = self.object_name(place)?;
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

    fn functions(&mut self, start: DataPlace, object: &str) -> Vec<PatchedFunction> {
        if self.is_full() {
            return Vec::new();
        }
        let image = self.image;
        let array = Array::find(image, &mut self.steps, start, &FUNCTION, |place| {
            is_function(image, place)
        });
        let Some(array) = array else {
            self.unread.add(format!(
                "the functions of {object}: their list has a form that lpwatch does not know"
            ));
            return Vec::new();
        };
        if !array.terminated {
            self.unread.add(format!(
                "the list of functions of {object} has no end mark: the kernel will read past it"
            ));
        }
        let places = array.elements().take(self.room(array.count));
        places
            .filter_map(|place| self.function(&FunctionFields::of_klp_func(place), object))
            .collect()
    }
}

/// Whether this may be a `klp_object`: a name or none, and functions or an empty
/// list of them.
pub(super) fn is_object(image: &Image<'_, '_>, place: DataPlace) -> bool {
    let Some(functions) = image.data_at(place.plus(FUNCTIONS)) else {
        return false;
    };
    if image.leads_to_empty_text(place) {
        // The kernel refuses this name. Zeros alone make no object.
        return is_function(image, functions);
    }
    (image.leads_to_text(place) || image.is_blank(place, 8))
        && (is_function(image, functions) || image.is_blank(functions, FUNCTION.written))
}

/// Whether this may be a `klp_func`: a name, and code or none.
fn is_function(image: &Image<'_, '_>, place: DataPlace) -> bool {
    let code = place.plus(NEW_FUNCTION);
    image.leads_to_text(place) && (image.leads_to_code(code) || image.is_blank(code, 8))
}
