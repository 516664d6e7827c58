//! Several patching systems on one host: each has a course of its own.

mod unclear;

use super::*;
use crate::model::event::Elsewhere;
use crate::model::{PatchDetails, Refusal};

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
    let remaining = tids.map(|tid| Task {
        tid,
        tgid: tid,
        comm: format!("task{tid}"),
        kind: TaskKind::User,
        evidence: Evidence::default(),
    });
    TaskSample {
        at: at(seconds).boot,
        direction: Direction::Patching,
        total: Some(100),
        remaining: remaining.collect(),
        unread: 0,
        switched: None,
    }
}

/// The details of a patch that its system refused for this cause.
fn refused_because(cause: Option<&str>) -> PatchDetails {
    PatchDetails {
        refusal: cause.map(|cause| Refusal::because(Some(cause.to_owned()))),
        ..PatchDetails::default()
    }
}

fn cause(refusal: Option<&Refusal>) -> Option<&str> {
    refusal?.cause.as_deref()
}

#[test]
fn two_systems_are_in_transition_at_once() {
    let mut model = begun();
    observe(&mut model, 100.2, &[patch(true, true), kgraft(true, true)]);
    sample(&mut model, 100.3, Direction::Patching, 0..4);
    take_tasks(&mut model, 100.3, EngineKind::Kgraft, left(100.3, 0..7));
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
        let tasks = left(seconds, 0..2);
        take_tasks(&mut model, seconds, EngineKind::Kgraft, tasks);
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
    // What the first reading shows may have been there long before.
    observe(&mut model, 100.0, &[kpatch(true)]);
    observe(&mut model, 102.0, &[kpatch(true)]);
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
    // And the first of a system that had none is news.
    observe(&mut model, 105.0, &[kgraft(true, false)]);
    let past = snapshot(&model, 105.0).last_transitions;
    assert_eq!(
        (past[0].engine, past[0].direction),
        (Some(EngineKind::Kgraft), Some(Direction::Patching))
    );
}

#[test]
fn a_system_tells_why_it_refused() {
    let ksplice = |failure: Option<&str>| PatchView {
        details: refused_because(failure),
        ..of(EngineKind::Ksplice, "k1", false, false)
    };
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[ksplice(None)]);
    observe(&mut model, 101.0, &[ksplice(Some("code_busy"))]);
    observe(&mut model, 102.0, &[ksplice(Some("code_busy"))]);
    let shown = snapshot(&model, 102.0);
    assert_eq!(cause(shown.patches[0].refusal.as_ref()), Some("code_busy"));
    let [past] = &shown.last_transitions[..] else {
        panic!("{:?}", shown.last_transitions)
    };
    assert_eq!(
        (past.direction, past.outcome, cause(past.refusal.as_ref())),
        (
            Some(Direction::Patching),
            Outcome::Refused,
            Some("code_busy")
        )
    );
}

fn said(model: &mut Model, seconds: f64, engine: EngineKind, what: Elsewhere) {
    log(model, seconds, EventKind::Elsewhere { engine, what });
}

#[test]
fn the_log_names_who_was_in_the_way() {
    let mut model = model(Some(0));
    let text = "activeness safety check failed for tcp_sendmsg".to_owned();
    let what = Elsewhere::Refused { patch: None, text };
    said(&mut model, 100.0, EngineKind::Kpatch, what);
    let comm = "worker".to_owned();
    let what = Elsewhere::Holder { pid: 42, comm };
    said(&mut model, 100.001, EngineKind::Kpatch, what);
    let past = snapshot(&model, 101.0).last_transitions;
    assert_eq!(
        (
            past[0].engine,
            past[0].outcome,
            cause(past[0].refusal.as_ref())
        ),
        (
            Some(EngineKind::Kpatch),
            Outcome::Refused,
            Some("activeness safety check failed for tcp_sendmsg; in the way: worker (pid 42)")
        )
    );
}

#[test]
fn what_a_file_and_the_log_tell_of_a_refusal_is_one_story() {
    let busy = PatchView {
        details: refused_because(Some("code_busy: a task was in it")),
        ..of(EngineKind::Ksplice, "k1", false, false)
    };
    let mut model = model(Some(0));
    // Its transition is seen, and then given up.
    let trying = of(EngineKind::Ksplice, "k1", true, true);
    observe(&mut model, 100.0, &[trying]);
    observe(&mut model, 101.0, std::slice::from_ref(&busy));
    let patch = Some("k1".to_owned());
    let text = "stack check: a task was in it".to_owned();
    said(
        &mut model,
        101.5,
        EngineKind::Ksplice,
        Elsewhere::Refused { patch, text },
    );
    observe(&mut model, 102.0, &[busy]);
    let past = snapshot(&model, 102.0).last_transitions;
    let [past] = &past[..] else {
        panic!("{past:?}")
    };
    assert_eq!(past.outcome, Outcome::Refused);
    assert_eq!(
        cause(past.refusal.as_ref()),
        Some("code_busy: a task was in it; stack check: a task was in it")
    );
}

#[test]
fn the_log_tells_when_it_began_and_how_often_it_was_tried() {
    let mut model = model(Some(0));
    observe(&mut model, 99.0, &[]);
    let patch = "kgraft_fix".to_owned();
    let direction = Direction::Patching;
    said(
        &mut model,
        100.0,
        EngineKind::Kgraft,
        Elsewhere::Begun { patch, direction },
    );
    observe(&mut model, 100.1, &[kgraft(true, true)]);
    said(&mut model, 102.0, EngineKind::Kgraft, Elsewhere::Tried);
    said(&mut model, 104.0, EngineKind::Kgraft, Elsewhere::Tried);
    let now = transition(&model, 105.0);
    assert_eq!((now.age_seconds, now.tries), (Some(5.0), Some(2)));
    said(&mut model, 106.0, EngineKind::Kgraft, Elsewhere::Forced);
    observe(&mut model, 107.0, &[kgraft(true, false)]);
    let past = snapshot(&model, 107.0).last_transitions;
    assert_eq!(past[0].outcome, Outcome::Forced);
}

#[test]
fn its_direction_is_what_the_system_says() {
    let mut model = model(Some(0));
    let back = PatchView {
        told_direction: Some(Direction::Unpatching),
        ..kgraft(true, true)
    };
    observe(&mut model, 100.0, &[back]);
    assert_eq!(transition(&model, 101.0).direction, Direction::Unpatching);
}

#[test]
fn only_a_system_with_patches_is_read_again_and_again() {
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[patch(true, false)]);
    assert!(!model.has_others(), "livepatch tells of its own");
    observe(
        &mut model,
        101.0,
        &[patch(true, false), kgraft(true, false)],
    );
    assert!(model.has_others());
    observe(&mut model, 102.0, &[patch(true, false)]);
    assert!(!model.has_others());
}
