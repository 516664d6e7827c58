//! Groups functions by their objects.

use crate::{
    kernel::Roots,
    model::{OBJECT_UNKNOWN, ObjectView},
};

use super::livepatch::is_absent;

/// The objects of these functions (object, name, sympos), by name; `enabled` says
/// whether the patch is enabled.
pub(super) fn objects(
    functions: impl IntoIterator<Item = (String, String, u32)>,
    enabled: Option<bool>,
    roots: &Roots,
) -> Vec<ObjectView> {
    let mut objects: Vec<ObjectView> = Vec::new();
    for (object, name, sympos) in functions {
        let at = objects.iter().position(|known| known.name == object);
        let at = at.unwrap_or_else(|| {
            objects.push(ObjectView {
                // Of an object without a name it is unknown whether it is loaded.
                patched: enabled
                    .filter(|_| object != OBJECT_UNKNOWN)
                    .map(|enabled| enabled && !is_absent(&object, roots)),
                name: object,
                functions: Vec::new(),
            });
            objects.len() - 1
        });
        if let Some(object) = objects.get_mut(at) {
            object.functions.push((name, sympos));
        }
    }
    for object in &mut objects {
        object.functions.sort();
    }
    objects.sort_by(|a, b| a.name.cmp(&b.name));
    objects
}
