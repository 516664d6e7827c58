//! Which patch's code runs if several patches change a function.
//!
//! In every system the newest patch wins. livepatch and openEuler number their
//! patches, kGraft counts the patches above each (`refs`), and kpatch puts the last
//! registered one first in its hash. If the numbers are missing, the kernel log may
//! contain when each was applied. Between two systems nothing shows the order: the
//! result is unknown.

use std::collections::HashMap;

use super::{InventoryFunction, InventoryPatch, PatchStatus};
use crate::model::EngineKind;

/// A function: its object, name and sympos.
type FunctionName = (String, String, u32);

/// The position of a patch among those of its system: the higher, the newer.
fn position(patch: &InventoryPatch) -> Option<i64> {
    match patch.engine {
        EngineKind::Livepatch | EngineKind::Openeuler => patch.stack_order.map(i64::from),
        EngineKind::Kgraft => patch.refs.map(|refs| -i64::from(refs)),
        EngineKind::Kpatch | EngineKind::Ksplice | EngineKind::Kernelcare => None,
    }
}

/// When a patch was applied: the higher, the newer.
fn applied(patch: &InventoryPatch) -> Option<i64> {
    patch.applied_at.map(jiff::Timestamp::as_millisecond)
}

/// Sets for each function which patch wins, or why that is unknown.
pub fn decide(patches: &mut [InventoryPatch]) {
    let mut by: HashMap<FunctionName, Vec<usize>> = HashMap::new();
    let may_run = |patch: &InventoryPatch| patch.in_force() || may_be_in_force(patch);
    for (number, patch) in patches.iter().enumerate() {
        if may_run(patch) {
            for (key, _) in functions(patch) {
                by.entry(key).or_default().push(number);
            }
        }
    }
    let winners: HashMap<FunctionName, Result<usize, String>> = by
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
    patch.state == PatchStatus::NotKnown
}

/// The newest patch, or why it is unknown.
fn winner(patches: &[InventoryPatch], owners: &[usize]) -> Result<usize, String> {
    let owners: Vec<(usize, &InventoryPatch)> = owners
        .iter()
        .filter_map(|&number| Some((number, patches.get(number)?)))
        .collect();
    let mut unclear = owners.iter().filter(|(_, patch)| may_be_in_force(patch));
    if let Some((_, patch)) = unclear.next() {
        return Err(format!("it is unknown whether {} is in force", patch.name));
    }
    if let [(only, _)] = owners[..] {
        return Ok(only);
    }
    newest(&owners, position)
        .or_else(|| newest(&owners, applied))
        .ok_or_else(|| why_not(&owners))
}

/// The newest patch by `age`; `None` if the patches are of several systems, or one
/// has no age of its own.
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
                 longer contains when each was applied"
            }
            EngineKind::Kpatch => {
                "only the kernel log shows the order of kpatch's patches, and it no longer contains it"
            }
            EngineKind::Kgraft => "kGraft's files (refs) do not show the order of its patches",
            EngineKind::Ksplice | EngineKind::Kernelcare => {
                "this system does not show the order of its patches"
            }
            EngineKind::Openeuler => "openEuler's table does not show the order of its patches",
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
        "redirect it by ftrace, and no file shows the order"
    } else {
        "patch it, each in its own way, and no file shows whose code runs"
    };
    format!("{} {how}", names.join(" and "))
}

fn functions(patch: &InventoryPatch) -> impl Iterator<Item = (FunctionName, &InventoryFunction)> {
    patch.objects.iter().flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| (key(&object.name, function), function))
    })
}

fn key(object: &str, function: &InventoryFunction) -> FunctionName {
    (object.to_owned(), function.name.clone(), function.sympos)
}

#[cfg(test)]
mod tests;
