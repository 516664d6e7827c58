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

/// The most functions that get an fentry each.
const FEW: usize = 8;

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
    may: MayHook,
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
        kind: kind(id, may, keys),
    })
}

/// Which hooks are possible beside kprobes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MayHook {
    /// fentry on patched functions.
    pub shares: bool,
    /// kprobe.multi.
    pub group: bool,
}

/// For functions of vmlinux alone: on a module's function the others would hold the
/// module. fentry on a patched function, once no transition is under way.
fn kind(id: &FunctionId, may: MayHook, keys: &[PatchKey]) -> CountKind {
    if id.object != VMLINUX {
        return CountKind::Kprobe;
    }
    let settled = keys.iter().all(|key| key.settled);
    let patched = keys.iter().any(|key| key.functions.contains(id));
    if may.shares && settled && patched {
        CountKind::Fentry
    } else if may.group {
        CountKind::KprobeMulti
    } else {
        CountKind::Kprobe
    }
}

/// Each fentry is attached alone; many functions are hooked at once instead.
pub(super) fn group_many(may: MayHook, all: Vec<&mut CountAt>) {
    let is_fentry = |at: &&mut CountAt| at.kind == CountKind::Fentry;
    let fentries: Vec<&mut CountAt> = all.into_iter().filter(is_fentry).collect();
    if may.group && fentries.len() > FEW {
        for at in fentries {
            at.kind = CountKind::KprobeMulti;
        }
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

    const NONE: MayHook = MayHook {
        shares: false,
        group: false,
    };

    #[test]
    fn modules_are_never_held_and_many_functions_are_hooked_at_once() {
        let all = MayHook {
            shares: true,
            group: true,
        };
        let [kernel, module] = [VMLINUX, "m"].map(|object| FunctionId::new(object, "f", 1));
        let key = |settled| PatchKey {
            name: "p".to_owned(),
            enabled: true,
            settled,
            functions: BTreeSet::from([kernel.clone(), module.clone()]),
            unpatched: Vec::new(),
        };
        for (id, may, keys, expected) in [
            (&kernel, all, &[][..], CountKind::KprobeMulti),
            (&kernel, all, &[key(false)], CountKind::KprobeMulti),
            (&kernel, all, &[key(true)], CountKind::Fentry),
            (&kernel, NONE, &[key(true)], CountKind::Kprobe),
            (&module, all, &[], CountKind::Kprobe),
            (&module, all, &[key(true)], CountKind::Kprobe),
        ] {
            assert_eq!(kind(id, may, keys), expected, "{id:?} {keys:?}");
        }
        let at = |kind| CountAt {
            address: 1,
            symbol: "f".to_owned(),
            kind,
        };
        for (number, grouped) in [(FEW, false), (FEW + 1, true)] {
            let mut some = vec![at(CountKind::Fentry); number];
            some.push(at(CountKind::Kprobe));
            group_many(all, some.iter_mut().collect());
            let kinds: BTreeSet<&str> = some.iter().map(|at| at.kind.name()).collect();
            let other = if grouped { "kprobe_multi" } else { "fentry" };
            assert_eq!(kinds, BTreeSet::from(["kprobe", other]));
        }
    }

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
            original_at(&id, NONE, &[], found, std::slice::from_ref(&key))
                .map(|count| count.address)
        };
        assert_eq!(at(&found(0x1000, false)), Ok(0x1000));
        assert!(at(&found(0, true)).unwrap_err().contains("addresses"));
    }
}
