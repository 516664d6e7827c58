//! Who has a function that several patch.

use super::*;
use crate::model::inventory::samples;

fn patch(name: &str, engine: EngineKind, function: &str) -> InventoryPatch {
    samples::patch(name, engine, vec![samples::function(function)])
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
        state: PatchStatus::Disabled,
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

fn why(mut patches: Vec<InventoryPatch>) -> String {
    decide(&mut patches);
    let function = patches[0].objects.remove(0).functions.remove(0);
    assert_eq!(function.wins, None);
    function.not_decided.unwrap()
}

#[test]
fn the_log_tells_where_the_kernel_does_not_number() {
    let since = |name, second| InventoryPatch {
        applied_at: Some(jiff::Timestamp::from_second(second).unwrap()),
        ..patch(name, EngineKind::Livepatch, "f")
    };
    let lost = (Some(false), Some("new".to_owned()));
    assert_eq!(
        decided(vec![since("old", 5), since("new", 7)]),
        [lost, (Some(true), None)]
    );
    let forgotten = patch("old", EngineKind::Livepatch, "f");
    let told = why(vec![forgotten, since("new", 7)]);
    assert!(told.contains("stack_order"), "{told}");
}

#[test]
fn why_it_is_not_known_is_said() {
    let of = |engine| patch("a", engine, "f");
    let told = why(vec![of(EngineKind::Kpatch), of(EngineKind::Livepatch)]);
    assert_eq!(
        told,
        "livepatch and kpatch redirect it by ftrace, and no file shows the order"
    );
    let told = why(vec![of(EngineKind::Openeuler), of(EngineKind::Livepatch)]);
    assert!(told.contains("each in its own way"), "{told}");
    let told = why(vec![of(EngineKind::Kgraft), of(EngineKind::Kgraft)]);
    assert!(told.contains("refs"), "{told}");
    // Whether it runs at all is not known.
    let unclear = InventoryPatch {
        state: PatchStatus::NotKnown,
        ..of(EngineKind::Kpatch)
    };
    let told = why(vec![unclear]);
    assert_eq!(told, "it is unknown whether a is in force");
}
