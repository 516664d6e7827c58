//! Where the functions to be counted lie, and which kind of hook counts each.

use std::collections::BTreeSet;

use crate::{
    kernel::{
        Roots,
        kallsyms::{self, Functions, Symbol, VMLINUX},
    },
    model::{PatchView, calls::FunctionId},
    probe::{CountAt, CountKind, LoadedFunction, TaskIterator, may_count_ahead},
};

/// The properties of a patch that decide which counters it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatchKey {
    pub name: String,
    /// The patch is not being removed. Placing a probe holds a module for a
    /// moment, and the module of a removed patch is unloaded next.
    pub enabled: bool,
    settled: bool,
    pub functions: BTreeSet<FunctionId>,
    unpatched: Vec<String>,
}

impl PatchKey {
    pub fn of(patch: &PatchView) -> Self {
        let unpatched = patch
            .objects
            .iter()
            .filter(|object| object.patched == Some(false));
        Self {
            name: patch.name.clone(),
            enabled: patch.enabled == Some(true),
            settled: patch.enabled == Some(true) && !patch.in_transition,
            functions: patch.function_ids().collect(),
            unpatched: unpatched.map(|object| object.name.clone()).collect(),
        }
    }
}

/// Where an original is counted, or why it cannot be.
pub(super) fn original_at(
    id: &FunctionId,
    shares: bool,
    patched: &[LoadedFunction],
    found: &Functions,
    keys: &[PatchKey],
) -> Result<CountAt, String> {
    if !keys
        .iter()
        .any(|key| key.settled && key.functions.contains(id))
    {
        may_count_ahead()?;
    }
    let symbol = Symbol {
        object: id.object.clone(),
        name: id.name.clone(),
    };
    let addresses = found.addresses.get(&symbol).map_or(&[][..], Vec::as_slice);
    let listed = patched
        .iter()
        .find(|function| function.id == *id)
        .and_then(|function| function.old_address);
    let address = match addresses {
        // A hidden address reads as 0, where no call is ever seen.
        [] | [_] if found.hidden && listed.is_none() => {
            // Calls are counted on the running kernel alone.
            return Err(kallsyms::why_hidden(&Roots::default()));
        }
        [] if listed.is_none() => return Err(absent(id)),
        [_, _, ..] => {
            let count = addresses.len();
            return Err(format!(
                "{count} functions have this name, and a hook is placed by name"
            ));
        }
        [only] => listed.unwrap_or(*only),
        [] => listed.unwrap_or_default(),
    };
    Ok(CountAt {
        address,
        symbol: spelled(&symbol),
        kind: kind(id, shares, keys),
    })
}

/// fentry on a patched function of vmlinux, once no transition is under way. On
/// a module's function fentry would hold the module.
fn kind(id: &FunctionId, shares: bool, keys: &[PatchKey]) -> CountKind {
    let settled = keys.iter().all(|key| key.settled);
    let patched = keys.iter().any(|key| key.functions.contains(id));
    if shares && settled && patched && id.object == VMLINUX {
        CountKind::Fentry
    } else {
        CountKind::Kprobe
    }
}

/// The kernel's own list of patches; empty if there are none or the list cannot
/// be walked.
pub(super) fn walk(iterator: &mut TaskIterator, keys: &[PatchKey]) -> Vec<LoadedFunction> {
    if keys.is_empty() {
        return Vec::new();
    }
    match iterator.patched_functions() {
        Ok(mut functions) => {
            functions.retain(|function| keys.iter().any(|key| key.name == function.patch));
            functions
        }
        Err(error) => {
            tracing::info!(%error, "entries of new functions are not counted");
            Vec::new()
        }
    }
}

pub(super) fn look_up(roots: &Roots, missing: &[&FunctionId], addresses: &[u64]) -> Functions {
    let names: Vec<Symbol> = missing
        .iter()
        .map(|id| Symbol {
            object: id.object.clone(),
            name: id.name.clone(),
        })
        .collect();
    if names.is_empty() && addresses.is_empty() {
        return Functions::default();
    }
    kallsyms::find_functions(roots, &names, addresses).unwrap_or_else(|error| {
        tracing::info!(%error, "functions cannot be located");
        Functions {
            hidden: true,
            ..Functions::default()
        }
    })
}

/// Spelled as a kprobe expects it.
pub(super) fn spelled(symbol: &Symbol) -> String {
    let Symbol { object, name } = symbol;
    if object == VMLINUX {
        name.clone()
    } else {
        format!("{object}:{name}")
    }
}

fn absent(id: &FunctionId) -> String {
    if id.object == VMLINUX {
        "this kernel has no such function (it may be inlined everywhere)".to_owned()
    } else {
        format!(
            "the module {} is not loaded, or has no such function",
            id.object
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_address_is_none() {
        let id = FunctionId {
            object: VMLINUX.to_owned(),
            name: "f".to_owned(),
            sympos: 1,
        };
        let key = PatchKey {
            name: "p".to_owned(),
            enabled: true,
            settled: true,
            functions: BTreeSet::from([id.clone()]),
            unpatched: Vec::new(),
        };
        let symbol = Symbol {
            object: id.object.clone(),
            name: id.name.clone(),
        };
        let found = |address, hidden| Functions {
            addresses: [(symbol.clone(), vec![address])].into(),
            hidden,
            ..Functions::default()
        };
        let at = |found: &Functions| {
            original_at(&id, false, &[], found, std::slice::from_ref(&key))
                .map(|count| count.address)
        };
        assert_eq!(at(&found(0x1000, false)), Ok(0x1000));
        assert!(at(&found(0, true)).unwrap_err().contains("addresses"));
    }
}
