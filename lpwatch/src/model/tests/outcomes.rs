//! Beginnings and ends, told twice, late or not at all.

use super::*;

#[test]
fn a_transition_completes() {
    let mut model = begun();
    sample(&mut model, 100.2, Direction::Patching, 0..7);
    let now = transition(&model, 101.0);
    assert_eq!((now.tasks_remaining, now.tasks_total), (Some(7), Some(100)));
    assert_eq!(now.started_at, Some(at(100.0).wall));
    assert_eq!(
        (now.age_seconds, now.phase),
        (Some(1.0), Some(Phase::Progressing))
    );

    let told = at(102.004);
    let kind = complete(Direction::Patching, Some(2));
    let event = Event {
        at: at(102.0).boot,
        source: EventSource::Hook,
        kind,
    };
    model.handle(Input::Event(event), &told);
    observe(&mut model, 102.05, &[patch(true, false)]);
    let after = snapshot(&model, 102.1);
    let past = &after.last_transitions[0];
    assert_eq!(past.outcome, Outcome::Completed);
    assert_eq!(
        (past.duration_seconds, past.recorded_after_ms),
        (Some(2.0), Some(4.0))
    );
    assert_eq!((past.tries, past.signals), (Some(3), Some(0)));
}

#[test]
fn sysfs_lags_behind_the_hook_on_completion() {
    let mut model = begun();
    hook(&mut model, 101.0, complete(Direction::Patching, None));
    assert!(model.is_settling(at(101.0).boot) && model.have_all_switched());
    observe(&mut model, 101.01, &[patch(true, true)]);
    let now = transition(&model, 101.02);
    assert_eq!((now.tasks_remaining, now.blockers), (Some(0), Vec::new()));
    assert_eq!(snapshot(&model, 101.02).last_transitions, []);
    observe(&mut model, 101.1, &[patch(true, false)]);
    assert!(!model.is_settling(at(101.1).boot));
    let past = snapshot(&model, 102.0).last_transitions;
    assert_eq!((past.len(), past[0].ended_at), (1, at(101.0).wall));
}

#[test]
fn sysfs_wins_over_the_log() {
    let mut model = model(None);
    observe(&mut model, 99.0, &[patch(true, true)]);
    log(&mut model, 100.0, complete(Direction::Patching, None));
    observe(&mut model, 100.5, &[patch(true, true)]);
    assert_eq!(model.in_transition(), None, "a slow console");
    assert_eq!(snapshot(&model, 100.5).notes, [""; 0]);
    observe(&mut model, 101.5, &[patch(true, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Patching));
    let notes = snapshot(&model, 101.5).notes;
    assert!(
        matches!(&notes[..], [note] if note.contains(PATCH) && note.contains("sysfs")),
        "{notes:?}"
    );
    observe(&mut model, 103.0, &[patch(true, false)]);
    assert_eq!(snapshot(&model, 103.0).notes, [""; 0]);
}

#[test]
fn a_single_look_reads_sysfs_before_the_log() {
    let mut model = model(None);
    log(&mut model, 90.0, begin(Direction::Patching));
    log(&mut model, 95.0, complete(Direction::Patching, None));
    observe(&mut model, 97.0, &[patch(true, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Patching));
    assert_eq!(snapshot(&model, 97.0).notes.len(), 1);
}

#[test]
fn sysfs_lags_behind_the_hook_on_beginning() {
    let mut model = model(Some(0));
    observe(&mut model, 99.0, &[patch(false, false)]);
    hook(&mut model, 100.0, begin(Direction::Patching));
    observe(&mut model, 100.05, &[patch(false, false)]);
    assert_eq!(model.in_transition(), Some(Direction::Patching));
    observe(&mut model, 101.0, &[patch(true, true)]);
    let now = transition(&model, 102.0);
    assert_eq!((now.age_seconds, now.reversed), (Some(2.0), false));
    assert_eq!(snapshot(&model, 102.0).last_transitions, []);
    // From then on sysfs is believed.
    observe(&mut model, 103.0, &[patch(true, false)]);
    let past = snapshot(&model, 103.0).last_transitions[0].clone();
    assert_eq!(past.outcome, Outcome::Completed);
}

#[test]
fn a_beginning_that_sysfs_never_shows_is_not_waited_for_for_ever() {
    let mut model = model(Some(0));
    hook(&mut model, 100.0, begin(Direction::Patching));
    observe(&mut model, 109.0, &[patch(true, false)]);
    assert_eq!(model.in_transition(), Some(Direction::Patching));
    observe(&mut model, 110.5, &[patch(true, false)]);
    assert_eq!(model.in_transition(), None);
    // Nor at all where the event of its end may have been lost.
    let mut model = self::model(Some(0));
    hook(&mut model, 100.0, begin(Direction::Patching));
    lose(&mut model, 100.4, 3);
    observe(&mut model, 100.5, &[patch(true, false)]);
    assert_eq!(model.in_transition(), None);
}

#[test]
fn a_reading_older_than_the_last_event_changes_nothing() {
    let mut model = model(Some(0));
    let read_at = at(99.9).boot;
    hook(&mut model, 100.0, begin(Direction::Patching));
    let view = SystemView {
        read_at,
        ..SystemView::default()
    };
    model.handle(Input::Reading(view), &at(100.1));
    assert_eq!(model.in_transition(), Some(Direction::Patching));
}

#[test]
fn sysfs_says_disabled_for_a_moment_while_a_patch_is_enabled() {
    let mut model = model(Some(0));
    hook(&mut model, 100.0, begin(Direction::Patching));
    observe(&mut model, 100.01, &[patch(false, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Patching));
    assert!(!transition(&model, 100.02).reversed);
    // Without the event, the next event puts it right.
    let mut model = self::model(Some(0));
    observe(&mut model, 100.01, &[patch(false, true)]);
    hook(&mut model, 101.0, complete(Direction::Patching, Some(1)));
    observe(&mut model, 101.1, &[patch(true, false)]);
    let past = snapshot(&model, 101.0).last_transitions[0].clone();
    assert_eq!(
        (past.outcome, past.direction),
        (Outcome::Completed, Some(Direction::Patching))
    );
}

#[test]
fn readings_alone_tell_of_a_reversal() {
    let mut model = model(None);
    observe(&mut model, 100.0, &[patch(true, true)]);
    observe(&mut model, 101.0, &[patch(false, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Unpatching));
    observe(&mut model, 102.0, &[]);
    let past = snapshot(&model, 102.0).last_transitions[0].clone();
    assert_eq!((past.outcome, past.started_at), (Outcome::Reversed, None));
}

#[test]
fn readings_alone_tell_how_it_ended() {
    for (began, after, outcome) in [
        (
            patch(true, true),
            vec![patch(true, false)],
            Outcome::Completed,
        ),
        (patch(true, true), vec![], Outcome::Reversed),
        // It may have been a reversal.
        (patch(false, true), vec![], Outcome::Unknown),
        (
            patch(false, true),
            vec![patch(true, false)],
            Outcome::Reversed,
        ),
    ] {
        let mut model = model(None);
        observe(&mut model, 100.0, &[began]);
        observe(&mut model, 101.0, &after);
        assert_eq!(snapshot(&model, 101.0).last_transitions[0].outcome, outcome);
    }
}

#[test]
fn a_disabling_seen_from_the_beginning_has_completed() {
    let mut model = model(None);
    observe(&mut model, 99.0, &[patch(true, false)]);
    observe(&mut model, 100.0, &[patch(false, true)]);
    observe(&mut model, 101.0, &[]);
    let past = snapshot(&model, 101.0).last_transitions[0].clone();
    assert_eq!(past.outcome, Outcome::Completed);
}

#[test]
fn a_forced_transition_says_so() {
    let mut model = begun();
    hook(
        &mut model,
        110.0,
        EventKind::Forced {
            patch: None,
            by: None,
        },
    );
    hook(&mut model, 110.1, complete(Direction::Patching, None));
    observe(&mut model, 110.2, &[patch(true, false)]);
    assert_eq!(
        snapshot(&model, 111.0).last_transitions[0].outcome,
        Outcome::Forced
    );
}

#[test]
fn a_refusal_has_its_errno_and_the_kernels_words() {
    let mut model = model(Some(0));
    let text = "symbol 'no_such' not found in symbol table".to_owned();
    log(
        &mut model,
        100.0,
        EventKind::Complaint {
            patch: None,
            text: text.clone(),
        },
    );
    hook(
        &mut model,
        100.1,
        EventKind::Refused {
            patch: PATCH.to_owned(),
            errno: 22,
        },
    );
    let past = snapshot(&model, 100.2).last_transitions[0].clone();
    let refusal = past.refusal.unwrap();
    assert_eq!((past.outcome, refusal.errno), (Outcome::Refused, Some(22)));
    assert_eq!(
        (past.patch.as_deref(), refusal.cause),
        (Some(PATCH), Some(text))
    );
}

#[test]
fn what_is_cancelled_in_mid_way_is_one_story() {
    let mut model = begun();
    let text = "pre-patch callback failed for object 'vmlinux'".to_owned();
    log(
        &mut model,
        100.2,
        EventKind::Complaint {
            patch: None,
            text: text.clone(),
        },
    );
    hook(
        &mut model,
        100.3,
        EventKind::Cancelled {
            patch: Some(PATCH.to_owned()),
        },
    );
    hook(&mut model, 100.4, complete(Direction::Unpatching, None));
    hook(
        &mut model,
        100.5,
        EventKind::Refused {
            patch: PATCH.to_owned(),
            errno: 12,
        },
    );
    let past = snapshot(&model, 101.0).last_transitions;
    assert_eq!(past.len(), 1, "{past:?}");
    assert_eq!(
        (past[0].outcome, past[0].refusal.as_ref().unwrap().errno),
        (Outcome::Cancelled, Some(12))
    );
    assert_eq!(past[0].direction, Some(Direction::Patching));
    assert_eq!(past[0].refusal.as_ref().unwrap().cause, Some(text));
}

#[test]
fn the_log_alone_tells_of_a_cancelled_patch() {
    let mut model = model(None);
    log(&mut model, 100.0, begin(Direction::Patching));
    let text = "pre-patch callback failed for object 'vmlinux'".to_owned();
    log(
        &mut model,
        100.1,
        EventKind::Complaint { patch: None, text },
    );
    log(&mut model, 100.2, complete(Direction::Unpatching, None));
    let past = snapshot(&model, 101.0).last_transitions[0].clone();
    assert_eq!(
        past.outcome,
        Outcome::Cancelled,
        "not a completed unpatching"
    );
}

#[test]
fn the_log_tells_while_hooks_stand_still() {
    let mut model = model(Some(0));
    model.handle(Input::HooksDisabled(true), &at(99.0));
    log(&mut model, 100.0, begin(Direction::Patching));
    let text = "failed to register ftrace handler for function 'gcd' (-16)".to_owned();
    let complaint = EventKind::Complaint {
        patch: None,
        text: text.clone(),
    };
    log(&mut model, 100.1, complaint);
    log(&mut model, 100.2, complete(Direction::Unpatching, None));
    let past = snapshot(&model, 101.0).last_transitions[0].clone();
    assert_eq!(
        (past.outcome, past.refusal.unwrap().cause),
        (Outcome::Cancelled, Some(text))
    );
}

#[test]
fn the_log_repeats_what_hooks_told() {
    let mut model = begun();
    log(&mut model, 100.01, begin(Direction::Patching));
    hook(&mut model, 101.0, complete(Direction::Patching, None));
    log(&mut model, 101.2, complete(Direction::Patching, None));
    assert_eq!(snapshot(&model, 102.0).last_transitions.len(), 1);
}

#[test]
fn lost_events_are_mended_by_reading() {
    let mut model = begun();
    // Its end and the next beginning were lost.
    lose(&mut model, 109.9, 2);
    observe(&mut model, 110.0, &[patch(true, false)]);
    assert_eq!(model.in_transition(), None);
    observe(&mut model, 111.0, &[patch(false, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Unpatching));
    assert_eq!(snapshot(&model, 112.0).events_lost, 2);
}

#[test]
fn a_beginning_lost_after_an_end_is_found() {
    let mut model = begun();
    hook(&mut model, 101.0, complete(Direction::Patching, None));
    lose(&mut model, 101.9, 1);
    observe(&mut model, 102.0, &[patch(false, true)]);
    assert_eq!(model.in_transition(), Some(Direction::Unpatching));
}

#[test]
fn a_try_alone_shows_a_transition_whose_beginning_was_missed() {
    let mut model = model(Some(0));
    let kind = EventKind::Try {
        patch: Some(PATCH.to_owned()),
        direction: Some(Direction::Unpatching),
        before: Some(4),
    };
    hook(&mut model, 100.0, kind);
    assert_eq!(model.in_transition(), Some(Direction::Unpatching));
}

#[test]
fn only_so_many_transitions_are_remembered() {
    let mut model = model(Some(0));
    for round in 0..100 {
        hook(&mut model, f64::from(round), begin(Direction::Patching));
        hook(
            &mut model,
            f64::from(round) + 0.5,
            complete(Direction::Patching, None),
        );
    }
    observe(&mut model, 99.6, &[patch(true, false)]);
    let past = snapshot(&model, 200.0).last_transitions;
    assert_eq!(past.len(), 32);
    assert_eq!(past[0].ended_at, at(99.5).wall, "newest first");
}

#[test]
fn what_ended_is_given_once() {
    let mut model = model(Some(0));
    assert!(hook(&mut model, 100.0, begin(Direction::Patching)).is_empty());
    assert!(observe(&mut model, 100.1, &[patch(true, true)]).is_empty());
    assert!(hook(&mut model, 101.0, complete(Direction::Patching, None)).is_empty());
    let ended = observe(&mut model, 101.1, &[patch(true, false)]);
    assert_eq!(ended, snapshot(&model, 102.0).last_transitions);
    assert_eq!(ended.len(), 1);
    let again = observe(&mut model, 102.1, &[patch(true, false)]);
    assert!(again.is_empty(), "given twice");
}

#[test]
fn more_can_end_between_two_looks_than_are_remembered() {
    let mut model = model(Some(0));
    let mut ended = Vec::new();
    for nth in 0..40_u32 {
        let seconds = 100.0 + f64::from(nth);
        ended.extend(hook(&mut model, seconds, begin(Direction::Patching)));
        let end = complete(Direction::Patching, None);
        ended.extend(hook(&mut model, seconds + 0.5, end));
    }
    ended.extend(observe(&mut model, 140.0, &[patch(true, false)]));
    assert_eq!(ended.len(), 40);
}

#[test]
fn a_transition_reversed_twice_completes_in_its_first_direction() {
    let mut model = begun();
    for seconds in [101.0, 102.0] {
        let patch = Some(PATCH.to_owned());
        hook(&mut model, seconds, EventKind::Reversed { patch, by: None });
    }
    let under_way = transition(&model, 102.5);
    assert_eq!(under_way.direction, Direction::Patching);
    assert!(under_way.reversed);
    hook(&mut model, 103.0, complete(Direction::Patching, None));
    let ended = observe(&mut model, 103.1, &[patch(true, false)]);
    assert_eq!(ended[0].direction, Some(Direction::Patching));
    assert_eq!(ended[0].outcome, Outcome::Completed);
}
