use super::*;
use crate::model::{
    Direction, TransitionSummary,
    calls::figures::{Entered, Finding, FindingKind},
    samples,
};

/// A function of an enabled patch with these entries and expected calls.
fn function(entries: u64, expected: u64) -> CountedFunction {
    let effective = (expected > 0).then_some(entries >= expected);
    CountedFunction {
        patch: Some("lp".to_owned()),
        enabled: Some(true),
        transition: None,
        object: VMLINUX.to_owned(),
        object_patched: Some(true),
        name: "gcd".to_owned(),
        sympos: 1,
        calls: Some(Calls {
            old: 0,
            new: expected,
            old_per_second: None,
            new_per_second: None,
            rates: Vec::new(),
            counter: "kprobe".to_owned(),
            counted_since: samples::now(),
            before: None,
            during: None,
            after: None,
            new_share: None,
            entered: Some(Entered {
                function: "lp_gcd".to_owned(),
                entries,
                expected,
            }),
            not_entered: None,
            effective,
            above: 0,
            uncertain: 0,
            missed_together: None,
            findings: Vec::new(),
        }),
        not_counted: None,
        effect: match effective {
            Some(true) => Effect::Effective,
            Some(false) => Effect::NotEffective,
            None => not_known(),
        },
    }
}

fn not_known() -> Effect {
    Effect::NotKnown {
        why: "a reason".to_owned(),
    }
}

fn proof(functions: Vec<CountedFunction>, required: Option<u64>) -> (ProofVerdict, Option<Gap>) {
    let mut report = CallsReport::of(&samples::snapshot(Vec::new()), None);
    report.functions = functions;
    let proof = Proof::of(&report, required);
    (proof.verdict, proof.not_proved_because)
}

fn not_proved(gap: Gap) -> (ProofVerdict, Option<Gap>) {
    (ProofVerdict::NotProved, Some(gap))
}

const PROVED: (ProofVerdict, Option<Gap>) = (ProofVerdict::Proved, None);
const DISPROVED: (ProofVerdict, Option<Gap>) = (ProofVerdict::Disproved, None);

#[test]
fn nothing_is_no_proof() {
    assert_eq!(proof(Vec::new(), None), not_proved(Gap::NoFunctions));
    let mut watched = function(0, 0);
    watched.patch = None;
    assert_eq!(proof(vec![watched], None), not_proved(Gap::NoFunctions));
    assert_eq!(
        proof(vec![function(0, 0)], None),
        not_proved(Gap::NotCalled)
    );
}

#[test]
fn every_function_that_was_called_has_to_run() {
    assert_eq!(proof(vec![function(7, 7)], None), PROVED);
    assert_eq!(proof(vec![function(7, 7), function(0, 0)], None), PROVED);
    assert_eq!(proof(vec![function(7, 7), function(0, 3)], None), DISPROVED);
    let mut short = function(2, 3);
    short.effect = not_known();
    assert_eq!(
        proof(vec![function(7, 7), short], None),
        not_proved(Gap::NotCounted)
    );
}

#[test]
fn what_is_not_counted_may_have_been_called() {
    let mut hidden = function(0, 0);
    hidden.calls = None;
    assert_eq!(
        proof(vec![function(7, 7), hidden.clone()], None),
        not_proved(Gap::NotCounted)
    );
    // Nothing can call the functions of a module that is not loaded.
    hidden.object = "nfs".to_owned();
    hidden.object_patched = Some(false);
    assert_eq!(proof(vec![function(7, 7), hidden.clone()], Some(7)), PROVED);
    assert_eq!(proof(vec![hidden], None), not_proved(Gap::ObjectNotLoaded));
}

#[test]
fn calls_can_be_required() {
    let both = || vec![function(7, 7), function(0, 0)];
    assert_eq!(proof(both(), Some(1)), not_proved(Gap::NotCalled));
    let two = || vec![function(7, 7), function(9, 9)];
    assert_eq!(proof(two(), Some(7)), PROVED);
    assert_eq!(proof(two(), Some(8)), not_proved(Gap::TooFewCalls));
    // Entries from elsewhere are no calls of the original.
    assert_eq!(
        proof(vec![function(90, 7)], Some(8)),
        not_proved(Gap::TooFewCalls)
    );
}

#[test]
fn a_transition_proves_nothing_and_may_disprove() {
    let mut moving = function(7, 7);
    moving.transition = Some(TransitionSummary::in_direction(Direction::Patching));
    assert_eq!(
        proof(vec![moving.clone()], None),
        not_proved(Gap::InTransition)
    );
    assert_eq!(
        proof(vec![function(7, 7), moving.clone()], None),
        not_proved(Gap::InTransition)
    );
    moving.effect = Effect::NotEffective;
    assert_eq!(proof(vec![moving], None), DISPROVED);
}

#[test]
fn a_disabled_patch_is_left_out() {
    let mut disabled = function(0, 0);
    disabled.effect = Effect::NotPatched;
    assert_eq!(
        proof(vec![disabled.clone()], None),
        not_proved(Gap::Disabled)
    );
    assert_eq!(proof(vec![disabled, function(1, 1)], Some(1)), PROVED);
}

#[test]
fn a_finding_that_is_a_danger_disproves() {
    let mut found = function(7, 7);
    if let Some(calls) = &mut found.calls {
        calls.findings.push(Finding {
            kind: FindingKind::OldCodeCalled,
            severity: Severity::Danger,
            text: "Old code was called.".to_owned(),
            advice: Vec::new(),
        });
    }
    assert_eq!(proof(vec![found], None), DISPROVED);
}
