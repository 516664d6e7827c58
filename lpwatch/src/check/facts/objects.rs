//! The objects and functions that a patch names, as this host has them.

use std::collections::BTreeMap;

use crate::{
    kernel::{
        Roots,
        functions::Symbol,
        object_symbols::{self, Matches, ObjectSymbols, Place},
        patch_file::{PatchFile, PatchedFunction},
    },
    model::calls::FunctionId,
};

/// Facts for the rules `symbol` and `overlap`, and the addresses for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Where each function to be patched lies, if its object is loaded; empty
    /// for one that is not found or whose address is hidden. Several where the
    /// patch does not say which it means: the kernel refuses that.
    pub functions: BTreeMap<FunctionId, Vec<Extent>>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// The bytes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub begin: u64,
    /// One past the last; the next symbol's address, as kallsyms has no sizes.
    pub end: u64,
}

impl ObjectFacts {
    #[must_use]
    pub fn gather(roots: &Roots, patch: &PatchFile, notes: &mut Vec<String>) -> Self {
        let named = named(patch);
        let names: Vec<Symbol> = named.iter().map(|(id, _)| symbol(id)).collect();
        let symbols = match object_symbols::find(roots, &names) {
            Ok(symbols) => Some(symbols),
            Err(error) => {
                let error = anyhow::Error::from(error);
                notes.push(format!(
                    "Where the functions lie could not be looked up: {error:#}."
                ));
                None
            }
        };
        let none = Matches::default();
        let places = |id: &FunctionId| {
            let found = symbols.as_ref().and_then(|all| all.found.get(&symbol(id)));
            found.unwrap_or(&none).places.as_slice()
        };
        Self {
            functions: named
                .iter()
                .map(|(id, function)| (id.clone(), extents(places(id), function.sympos)))
                .collect(),
            hidden: symbols
                .as_ref()
                .is_some_and(|ObjectSymbols { hidden, .. }| *hidden),
        }
    }
}

/// Every function the patch names.
fn named(patch: &PatchFile) -> Vec<(FunctionId, &PatchedFunction)> {
    let objects = patch.objects.iter();
    let named = objects.flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| (function_id(&object.name, function), function))
    });
    named.collect()
}

/// The id of a function of a patch file.
#[must_use]
pub fn function_id(object: &str, function: &PatchedFunction) -> FunctionId {
    FunctionId {
        object: object.to_owned(),
        name: function.name.clone(),
        sympos: function.sympos.max(1),
    }
}

fn symbol(id: &FunctionId) -> Symbol {
    Symbol {
        object: id.object.clone(),
        name: id.name.clone(),
    }
}

/// Those of the places that the position means: 0 is any.
fn extents(places: &[Place], sympos: u32) -> Vec<Extent> {
    let all = (1_u32..).zip(places);
    let meant = all.filter(|(position, _)| sympos == 0 || sympos == *position);
    meant
        .filter(|(_, place)| place.is_code && place.end > place.begin)
        .map(|(_, Place { begin, end, .. })| Extent {
            begin: *begin,
            end: *end,
        })
        .collect()
}

#[cfg(test)]
mod tests;
