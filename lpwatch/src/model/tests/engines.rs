//! Several patching systems on one host: each has a course of its own.

use super::*;

fn of(engine: EngineKind, name: &str, enabled: bool, in_transition: bool) -> PatchView {
    PatchView {
        name: name.to_owned(),
        engine,
        ..patch(enabled, in_transition)
    }
}

fn kgraft(enabled: bool, in_transition: bool) -> PatchView {
    of(EngineKind::Kgraft, "kgraft_fix", enabled, in_transition)
}

fn left(seconds: f64, tids: std::ops::Range<u32>) -> TaskSample {
    let remaining = tids.map(|tid| TaskOnOldCode {
        tid,
        tgid: tid,
        comm: format!("task{tid}"),
        kthread: false,
        evidence: Evidence::default(),
    });
    TaskSample {
        at: at(seconds).boot,
        direction: Direction::Patching,
        total: 100,
        remaining: remaining.collect(),
        switched: None,
    }
}

#[test]
fn two_systems_are_in_transition_at_once() {
    let mut model = begun();
    observe(&mut model, 100.2, &[patch(true, true), kgraft(true, true)]);
    sample(&mut model, 100.3, Direction::Patching, 0..4);
    model.sample_other(EngineKind::Kgraft, left(100.3, 0..7), &at(100.3));
    let remaining = |model: &Model| -> Vec<Option<u32>> {
        let patches = snapshot(model, 101.0).patches;
        let transition = |patch: &super::super::snapshot::Patch| {
            patch
                .transition
                .as_ref()
                .and_then(|transition| transition.tasks_remaining)
        };
        patches.iter().map(transition).collect()
    };
    assert_eq!(remaining(&model), [Some(4), Some(7)]);
    // Livepatch's ends; kGraft's goes on.
    hook(&mut model, 102.0, complete(Direction::Patching, Some(1)));
    observe(&mut model, 102.1, &[patch(true, false), kgraft(true, true)]);
    assert_eq!(remaining(&model), [None, Some(7)]);
    observe(
        &mut model,
        105.0,
        &[patch(true, false), kgraft(true, false)],
    );
    let past = snapshot(&model, 105.0).last_transitions;
    let told: Vec<_> = past
        .iter()
        .map(|past| (past.engine, past.outcome))
        .collect();
    assert_eq!(
        told,
        [
            (Some(EngineKind::Kgraft), Outcome::Completed),
            (Some(EngineKind::Livepatch), Outcome::Completed),
        ]
    );
}

#[test]
fn a_system_that_tells_nothing_stalls_by_what_is_read() {
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[kgraft(true, true)]);
    for second in 0..70 {
        let seconds = 100.0 + f64::from(second);
        observe(&mut model, seconds, &[kgraft(true, true)]);
        model.sample_other(EngineKind::Kgraft, left(seconds, 0..2), &at(seconds));
    }
    let now = transition(&model, 170.0);
    assert_eq!(now.started_at, None, "it may have begun long before");
    assert_eq!(
        (now.tasks_remaining, now.phase),
        (Some(2), Some(Phase::Stalled))
    );
    // The operator takes it back.
    observe(&mut model, 171.0, &[kgraft(false, true)]);
    observe(&mut model, 172.0, &[kgraft(false, false)]);
    let past = snapshot(&model, 172.0).last_transitions;
    assert_eq!(past[0].outcome, Outcome::Reversed);
}

#[test]
fn what_is_applied_at_once_is_recorded_when_it_is_seen() {
    let kpatch = |enabled| of(EngineKind::Kpatch, "kpatch_fix", enabled, false);
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[]);
    observe(&mut model, 101.0, &[kpatch(true)]);
    observe(&mut model, 102.0, &[kpatch(true)]);
    // The first patch of an engine may have been there long before.
    assert_eq!(snapshot(&model, 102.0).last_transitions, []);
    observe(&mut model, 103.0, &[kpatch(false)]);
    observe(&mut model, 104.0, &[]);
    let past = snapshot(&model, 104.0).last_transitions;
    let [past] = &past[..] else {
        panic!("{past:?}")
    };
    assert_eq!(
        (past.direction, past.outcome, past.duration_seconds),
        (Some(Direction::Unpatching), Outcome::Completed, None)
    );
}

#[test]
fn a_system_tells_why_it_refused() {
    let ksplice = |failure: Option<&str>| PatchView {
        failure: failure.map(str::to_owned),
        ..of(EngineKind::Ksplice, "k1", false, false)
    };
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[ksplice(None)]);
    observe(&mut model, 101.0, &[ksplice(Some("code_busy"))]);
    observe(&mut model, 102.0, &[ksplice(Some("code_busy"))]);
    let shown = snapshot(&model, 102.0);
    assert_eq!(shown.patches[0].failure.as_deref(), Some("code_busy"));
    let [past] = &shown.last_transitions[..] else {
        panic!("{:?}", shown.last_transitions)
    };
    assert_eq!(
        (past.direction, past.outcome, past.message.as_deref()),
        (
            Some(Direction::Patching),
            Outcome::Refused,
            Some("code_busy")
        )
    );
}
