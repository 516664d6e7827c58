//! Which patch has a function that several patch.
//!
//! The newest one wins, in every system: livepatch and openEuler number their
//! patches, kGraft counts how many lie above one (`refs`), and kpatch's last one
//! to register comes first in its hash; where the numbers are missing, the kernel
//! log may still tell when each was applied. Between systems nothing tells: what
//! two have is not known to be either's.

use std::collections::HashMap;

use super::{InventoryFunction, InventoryPatch, PatchStatus};
use crate::model::EngineKind;

/// A function of the kernel's: its object, name and position.
type Key = (String, String, u32);

/// Where a patch stands among those of its system: the higher, the newer.
fn place(patch: &InventoryPatch) -> Option<i64> {
    match patch.engine {
        EngineKind::Livepatch | EngineKind::Openeuler => patch.stack_order.map(i64::from),
        EngineKind::Kgraft => patch.refs.map(|refs| -i64::from(refs)),
        EngineKind::Kpatch | EngineKind::Ksplice | EngineKind::Kernelcare => None,
    }
}

/// The same, by when it was applied.
fn applied(patch: &InventoryPatch) -> Option<i64> {
    patch.since.map(jiff::Timestamp::as_millisecond)
}

/// Says of each function which patch has it, or why that is not known.
pub fn decide(patches: &mut [InventoryPatch]) {
    let mut by: HashMap<Key, Vec<usize>> = HashMap::new();
    let may_run = |patch: &InventoryPatch| patch.in_force() || may_be_in_force(patch);
    for (number, patch) in patches.iter().enumerate() {
        if may_run(patch) {
            for (key, _) in functions(patch) {
                by.entry(key).or_default().push(number);
            }
        }
    }
    let winners: HashMap<Key, Result<usize, String>> = by
        .into_iter()
        .map(|(key, owners)| (key, winner(patches, &owners)))
        .collect();
    let names: Vec<String> = patches.iter().map(|patch| patch.name.clone()).collect();
    for (number, patch) in patches.iter_mut().enumerate() {
        let may_run = may_run(patch);
        for object in &mut patch.objects {
            for function in &mut object.functions {
                let key = key(&object.name, function);
                match winners.get(&key).filter(|_| may_run) {
                    None => function.wins = Some(false),
                    Some(Err(why)) => function.not_decided = Some(why.clone()),
                    Some(Ok(winner)) => {
                        function.wins = Some(*winner == number);
                        function.overridden_by =
                            names.get(*winner).filter(|_| *winner != number).cloned();
                    }
                }
            }
        }
    }
}

fn may_be_in_force(patch: &InventoryPatch) -> bool {
    patch.standing == PatchStatus::NotKnown
}

/// The newest, or why that is not known.
fn winner(patches: &[InventoryPatch], owners: &[usize]) -> Result<usize, String> {
    let owners: Vec<(usize, &InventoryPatch)> = owners
        .iter()
        .filter_map(|&number| Some((number, patches.get(number)?)))
        .collect();
    let mut unclear = owners.iter().filter(|(_, patch)| may_be_in_force(patch));
    if let Some((_, patch)) = unclear.next() {
        return Err(format!("whether {} is in force is not known", patch.name));
    }
    if let [(only, _)] = owners[..] {
        return Ok(only);
    }
    newest(&owners, place)
        .or_else(|| newest(&owners, applied))
        .ok_or_else(|| why_not(&owners))
}

/// `None` where they are of several systems, or one has no such number of its
/// own.
fn newest(
    owners: &[(usize, &InventoryPatch)],
    age: impl Fn(&InventoryPatch) -> Option<i64>,
) -> Option<usize> {
    let (_, first) = owners.first()?;
    let mut newest: Option<(i64, usize)> = None;
    for (number, patch) in owners {
        let age = age(patch).filter(|_| patch.engine == first.engine)?;
        match newest {
            Some((known, _)) if known == age => return None,
            Some((known, _)) if known > age => {}
            _ => newest = Some((age, *number)),
        }
    }
    newest.map(|(_, number)| number)
}

fn why_not(owners: &[(usize, &InventoryPatch)]) -> String {
    let mut engines: Vec<EngineKind> = owners.iter().map(|(_, patch)| patch.engine).collect();
    engines.sort();
    engines.dedup();
    if let [engine] = engines[..] {
        return match engine {
            EngineKind::Livepatch => {
                "this kernel does not number its patches (stack_order, from 6.14), and its log no \
                 longer tells when each was applied"
            }
            EngineKind::Kpatch => {
                "only the kernel log tells the order of kpatch's patches, and it does not have it"
            }
            EngineKind::Kgraft => "kGraft's files (refs) do not tell the order of its patches",
            EngineKind::Ksplice | EngineKind::Kernelcare => {
                "this system does not tell the order of its patches"
            }
            EngineKind::Openeuler => "openEuler's table does not tell the order of its patches",
        }
        .to_owned();
    }
    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    let redirects = |engine: &EngineKind| {
        matches!(
            engine,
            EngineKind::Livepatch | EngineKind::Kpatch | EngineKind::Kgraft
        )
    };
    let how = if engines.iter().all(redirects) {
        "redirect it by ftrace, and no file tells in which order"
    } else {
        "patch it, each in its own way, and no file tells whose code comes first"
    };
    format!("{} {how}", names.join(" and "))
}

fn functions(patch: &InventoryPatch) -> impl Iterator<Item = (Key, &InventoryFunction)> {
    patch.objects.iter().flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| (key(&object.name, function), function))
    })
}

fn key(object: &str, function: &InventoryFunction) -> Key {
    (object.to_owned(), function.name.clone(), function.sympos)
}

#[cfg(test)]
mod tests;
