//! Which patch has a function that several patch.
//!
//! The newest one wins, in every system: livepatch and openEuler number their
//! patches, kGraft counts how many lie above one (`refs`), and kpatch's last one
//! to register comes first in its hash. Between systems nothing tells: what two
//! have is not known to be either's.

use std::collections::HashMap;

use super::{InventoryFunction, InventoryPatch};
use crate::model::EngineKind;

/// A function of the kernel's: its object, name and position.
type Key = (String, String, u32);

/// Where a patch stands among those of its system: the higher, the newer.
fn age(patch: &InventoryPatch) -> Option<i64> {
    match patch.engine {
        EngineKind::Livepatch | EngineKind::Openeuler => patch.stack_order.map(i64::from),
        EngineKind::Kgraft => patch.refs.map(|refs| -i64::from(refs)),
        EngineKind::Kpatch => patch.since.map(jiff::Timestamp::as_millisecond),
        EngineKind::Ksplice | EngineKind::Kernelcare => None,
    }
}

/// Says of each function which patch has it.
pub fn decide(patches: &mut [InventoryPatch]) {
    let mut by: HashMap<Key, Vec<usize>> = HashMap::new();
    for (number, patch) in patches
        .iter()
        .enumerate()
        .filter(|(_, patch)| patch.in_force())
    {
        for (key, _) in functions(patch) {
            by.entry(key).or_default().push(number);
        }
    }
    let winners: HashMap<Key, Option<usize>> = by
        .into_iter()
        .map(|(key, owners)| (key, winner(patches, &owners)))
        .collect();
    let names: Vec<String> = patches.iter().map(|patch| patch.name.clone()).collect();
    for (number, patch) in patches.iter_mut().enumerate() {
        let in_force = patch.in_force();
        for object in &mut patch.objects {
            for function in &mut object.functions {
                let key = key(&object.name, function);
                if !in_force {
                    function.wins = Some(false);
                    continue;
                }
                let winner = winners.get(&key).copied().flatten();
                function.wins = winner.map(|winner| winner == number);
                function.overridden_by = winner
                    .filter(|&winner| winner != number)
                    .and_then(|winner| names.get(winner).cloned());
            }
        }
    }
}

/// The newest; `None` where that is not known.
fn winner(patches: &[InventoryPatch], owners: &[usize]) -> Option<usize> {
    if let [only] = owners {
        return Some(*only);
    }
    let mut newest: Option<(i64, usize)> = None;
    let engine = patches.get(*owners.first()?)?.engine;
    for &number in owners {
        let patch = patches.get(number)?;
        let age = age(patch).filter(|_| patch.engine == engine)?;
        match newest {
            Some((known, _)) if known == age => return None,
            Some((known, _)) if known > age => {}
            _ => newest = Some((age, number)),
        }
    }
    newest.map(|(_, number)| number)
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
mod tests {
    use super::*;
    use crate::model::inventory::{InventoryObject, Standing};

    fn patch(name: &str, engine: EngineKind, function: &str) -> InventoryPatch {
        InventoryPatch {
            name: name.to_owned(),
            engine,
            module: None,
            vendor: None,
            standing: Standing::Enabled,
            direction: None,
            own_word: None,
            since: None,
            description: None,
            refusal: None,
            replace: None,
            stack_order: None,
            refs: None,
            objects: vec![InventoryObject {
                name: "vmlinux".to_owned(),
                patched: Some(true),
                functions: vec![InventoryFunction {
                    name: function.to_owned(),
                    sympos: 1,
                    old_address: None,
                    new_address: None,
                    wins: None,
                    overridden_by: None,
                }],
            }],
            disk: None,
        }
    }

    fn decided(mut patches: Vec<InventoryPatch>) -> Vec<(Option<bool>, Option<String>)> {
        decide(&mut patches);
        let first = patches.into_iter().map(|mut patch| patch.objects.remove(0));
        first
            .map(|mut object| object.functions.remove(0))
            .map(|function| (function.wins, function.overridden_by))
            .collect()
    }

    #[test]
    fn the_newest_of_a_system_wins() {
        let old = InventoryPatch {
            stack_order: Some(1),
            ..patch("old", EngineKind::Livepatch, "f")
        };
        let new = InventoryPatch {
            stack_order: Some(2),
            ..patch("new", EngineKind::Livepatch, "f")
        };
        let won = || (Some(true), None);
        let lost = || (Some(false), Some("new".to_owned()));
        assert_eq!(decided(vec![new.clone(), old.clone()]), [won(), lost()]);
        let graft = |name: &str, refs| InventoryPatch {
            refs: Some(refs),
            ..patch(name, EngineKind::Kgraft, "f")
        };
        assert_eq!(
            decided(vec![graft("old", 1), graft("new", 0)]),
            [lost(), won()]
        );
        let disabled = InventoryPatch {
            standing: Standing::Disabled,
            ..new
        };
        assert_eq!(decided(vec![old, disabled]), [won(), (Some(false), None)]);
    }

    #[test]
    fn what_is_not_known_is_not_decided() {
        let unknown = (None, None);
        let kpatch = |name| patch(name, EngineKind::Kpatch, "f");
        assert_eq!(
            decided(vec![kpatch("a"), kpatch("b")]),
            [unknown.clone(), unknown.clone()]
        );
        let other = InventoryPatch {
            stack_order: Some(1),
            ..patch("c", EngineKind::Livepatch, "f")
        };
        assert_eq!(
            decided(vec![kpatch("a"), other]),
            [unknown.clone(), unknown]
        );
        let alone = (Some(true), None);
        let elsewhere = patch("d", EngineKind::Livepatch, "g");
        assert_eq!(
            decided(vec![kpatch("a"), elsewhere]),
            [alone.clone(), alone]
        );
    }
}
