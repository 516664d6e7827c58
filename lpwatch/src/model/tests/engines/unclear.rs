//! What readings do not tell, or cannot be read, is no change.

use super::*;

#[test]
fn a_system_that_cannot_be_read_is_as_it_was() {
    let mut model = model(Some(0));
    let unreadable = |model: &mut Model, seconds: f64| {
        let now = at(seconds);
        let view = SystemView {
            read_at: now.boot,
            patches: vec![patch(true, false)],
            unread: vec![EngineKind::Kgraft],
            ..SystemView::default()
        };
        model.handle(Input::Reading(view), &now);
    };
    // Nor is what it shows later news, if it could never be read.
    unreadable(&mut model, 99.0);
    observe(
        &mut model,
        100.0,
        &[patch(true, false), kgraft(true, false)],
    );
    unreadable(&mut model, 101.0);
    let shown = snapshot(&model, 101.0);
    assert_eq!(
        (shown.patches.len(), shown.last_transitions),
        (2, Vec::new())
    );
    observe(&mut model, 102.0, &[patch(true, false)]);
    let past = snapshot(&model, 102.0).last_transitions;
    assert_eq!(past[0].direction, Some(Direction::Unpatching));
}

#[test]
fn what_a_reading_does_not_tell_is_no_change() {
    let mut model = model(Some(0));
    let told = |enabled: Option<bool>| PatchView {
        enabled,
        ..of(EngineKind::Kpatch, "kpatch_fix", true, false)
    };
    observe(&mut model, 100.0, &[]);
    observe(&mut model, 101.0, &[told(Some(true))]);
    observe(&mut model, 102.0, &[told(None)]);
    assert_eq!(snapshot(&model, 102.0).patches[0].enabled, None);
    observe(&mut model, 103.0, &[told(Some(true))]);
    assert_eq!(snapshot(&model, 103.0).last_transitions.len(), 1);
    // It was disabled while that could not be read.
    observe(&mut model, 104.0, &[told(None)]);
    observe(&mut model, 105.0, &[told(Some(false))]);
    let past = snapshot(&model, 105.0).last_transitions;
    assert_eq!(past.len(), 2);
    assert_eq!(past[0].direction, Some(Direction::Unpatching));
}

#[test]
fn what_is_in_force_was_refused_to_be_taken_back() {
    let ksplice = |failure: Option<&str>| PatchView {
        details: refused_because(failure),
        ..of(EngineKind::Ksplice, "k1", true, false)
    };
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[ksplice(None)]);
    let patch = Some("k1".to_owned());
    let text = "stack check: a task was in it".to_owned();
    let what = Elsewhere::Refused { patch, text };
    said(&mut model, 101.0, EngineKind::Ksplice, what);
    observe(&mut model, 101.1, &[ksplice(Some("code_busy"))]);
    let past = snapshot(&model, 102.0).last_transitions;
    let [past] = &past[..] else {
        panic!("{past:?}")
    };
    assert_eq!(
        (past.direction, past.outcome),
        (Some(Direction::Unpatching), Outcome::Refused)
    );
}
