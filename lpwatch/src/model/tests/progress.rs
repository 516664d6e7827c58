//! Progress, phases and what is left.

use super::*;
use crate::model::{Operator, view::SwitchedBy};

#[test]
fn without_a_task_switching_it_stalls() {
    let mut model = begun();
    for second in 0..62 {
        sample(
            &mut model,
            100.2 + f64::from(second),
            Direction::Patching,
            0..1,
        );
    }
    assert_eq!(transition(&model, 114.9).phase, Some(Phase::Progressing));
    assert_eq!(transition(&model, 115.0).phase, Some(Phase::Slow));
    assert_eq!(transition(&model, 160.0).phase, Some(Phase::Stalled));
}

#[test]
fn a_task_that_switches_ends_the_stall() {
    let mut model = begun();
    sample(&mut model, 100.2, Direction::Patching, 0..9);
    sample(&mut model, 161.0, Direction::Patching, 0..9);
    assert_eq!(transition(&model, 161.0).phase, Some(Phase::Stalled));
    sample(&mut model, 162.0, Direction::Patching, 0..8);
    assert_eq!(transition(&model, 162.0).phase, Some(Phase::Slow));
    assert_eq!(transition(&model, 222.0).phase, Some(Phase::Stalled));
}

#[test]
fn children_that_come_and_go_are_no_progress() {
    let mut model = begun();
    for second in 0..70 {
        // One task stays; a child of the old code comes and goes.
        let left = if second % 2 == 0 { 0..2 } else { 0..1 };
        sample(
            &mut model,
            100.2 + f64::from(second),
            Direction::Patching,
            left,
        );
    }
    assert_eq!(transition(&model, 170.0).phase, Some(Phase::Stalled));
}

#[test]
fn with_no_task_left_idle_cpus_are() {
    let mut model = begun();
    sample(&mut model, 100.2, Direction::Patching, 0..0);
    assert_eq!(transition(&model, 100.3).blockers, [], "about to complete");
    sample(&mut model, 101.2, Direction::Patching, 0..0);
    let now = transition(&model, 101.3);
    assert_eq!((now.tasks_remaining, now.blockers.len()), (Some(0), 1));
    assert_eq!(now.blockers[0].reason, Some(Reason::Idle));
}

#[test]
fn a_number_of_tasks_is_not_told_where_some_could_not_be_read() {
    let mut model = begun();
    for seconds in [101.0, 102.0, 103.0] {
        let sample = TaskSample {
            at: at(seconds).boot,
            direction: Direction::Patching,
            total: Some(100),
            remaining: Vec::new(),
            unread: 99,
            switched: None,
        };
        take_tasks(&mut model, seconds, EngineKind::Livepatch, sample);
    }
    let transition = transition(&model, 103.0);
    assert_eq!(transition.tasks_remaining, None);
    assert_eq!(transition.tasks_total, Some(100));
    assert!(transition.trend.is_empty());
    assert!(transition.blockers.is_empty(), "not even idle CPUs");
}

/// A sample in which only one of 78 tasks could be read, and is left.
fn partial(model: &mut Model, seconds: f64) {
    let sample = TaskSample {
        at: at(seconds).boot,
        direction: Direction::Patching,
        total: Some(78),
        remaining: vec![Task {
            tid: 1,
            ..Task::default()
        }],
        unread: 77,
        switched: None,
    };
    take_tasks(model, seconds, EngineKind::Livepatch, sample);
}

#[test]
fn tasks_that_cannot_be_read_may_switch_so_no_stall_is_claimed() {
    let mut late = model(None);
    observe(&mut late, 500.0, &[patch(true, true)]);
    for seconds in 500..570 {
        partial(&mut late, f64::from(seconds));
    }
    let now = transition(&late, 570.0);
    assert_eq!((now.phase, now.seconds_without_progress), (None, None));
    // Once all can be read, it counts from there.
    for seconds in [570.0, 572.0] {
        sample(&mut late, seconds, Direction::Patching, 0..9);
    }
    let now = transition(&late, 573.0);
    assert_eq!((now.phase, now.seconds_without_progress), (None, Some(3.0)));
    // And not on, once they cannot.
    partial(&mut late, 574.0);
    assert_eq!(transition(&late, 640.0).phase, None);

    // With a known beginning the age is all that is known.
    let mut begun = begun();
    for seconds in 100..170 {
        partial(&mut begun, f64::from(seconds) + 0.5);
    }
    let now = transition(&begun, 170.0);
    assert_eq!(now.seconds_without_progress, None);
    assert_eq!(now.phase, Some(Phase::Stalled));
}

/// A sample with these tasks switched since lpwatch counts them.
fn switched(model: &mut Model, seconds: f64, checked: u64) {
    let sample = TaskSample {
        at: at(seconds).boot,
        direction: Direction::Patching,
        total: Some(100),
        remaining: Vec::new(),
        unread: 1,
        switched: Some(SwitchedBy {
            checked,
            ..SwitchedBy::default()
        }),
    };
    take_tasks(model, seconds, EngineKind::Livepatch, sample);
}

#[test]
fn who_came_late_does_not_know_how_tasks_have_switched() {
    let counted = |model: &Model| {
        let switched = transition(model, 103.0).switched;
        switched.map(|switched| switched.checked)
    };
    let mut from_the_start = begun();
    switched(&mut from_the_start, 102.0, 7);
    assert_eq!(counted(&from_the_start), Some(7));

    let mut found = model(Some(101));
    observe(&mut found, 101.1, &[patch(true, true)]);
    switched(&mut found, 102.0, 0);
    assert_eq!(counted(&found), None);

    // The log tells of the start; the hooks came later.
    let mut told = model(Some(101));
    log(&mut told, 100.0, begin(Direction::Patching));
    observe(&mut told, 101.1, &[patch(true, true)]);
    switched(&mut told, 102.0, 0);
    assert_eq!(counted(&told), None);
}

#[test]
fn long_only_while_tasks_still_switch() {
    let mut model = begun();
    sample(&mut model, 100.2, Direction::Patching, 0..9);
    sample(&mut model, 3699.0, Direction::Patching, 0..8);
    assert_eq!(transition(&model, 3701.0).phase, Some(Phase::Long));
    assert_eq!(transition(&model, 3760.0).phase, Some(Phase::Stalled));
}

#[test]
fn a_long_stall_leaves_the_fall_before_it_in_the_trend() {
    let mut model = begun();
    for (at, left) in [(100.5, 9), (101.5, 9), (102.5, 4), (103.5, 1)] {
        sample(&mut model, at, Direction::Patching, 0..left);
    }
    for second in 0..1000 {
        let at = 104.5 + f64::from(second);
        sample(&mut model, at, Direction::Patching, 0..1);
    }
    let trend = transition(&model, 1104.0).trend;
    let numbers: Vec<u32> = trend.iter().map(|point| point.remaining).collect();
    assert_eq!(numbers, [9, 9, 4, 1, 1]);
    assert!(trend[4].seconds - trend[3].seconds > 990.0);
}

#[test]
fn a_reversal_starts_progress_anew_and_is_the_outcome() {
    let operator = Operator {
        tid: 812,
        comm: "sh".to_owned(),
        uid: 0,
        login_uid: Some(1000),
    };
    let mut model = begun();
    sample(&mut model, 100.2, Direction::Patching, 0..1);
    hook(
        &mut model,
        170.0,
        EventKind::Reversed {
            patch: Some(PATCH.to_owned()),
            by: Some(operator.clone()),
        },
    );
    observe(&mut model, 170.1, &[patch(false, true)]);
    let now = transition(&model, 170.2);
    assert_eq!((now.direction, now.reversed), (Direction::Unpatching, true));
    assert_eq!(now.reversed_by, Some(operator.clone()));
    assert_eq!(
        (now.phase, now.age_seconds),
        (Some(Phase::Progressing), Some(0.2))
    );
    assert_eq!(now.trend, []);
    // A look that was made before must not count for the new direction.
    sample(&mut model, 170.3, Direction::Patching, 0..1);
    assert_eq!(transition(&model, 170.4).tasks_remaining, None);

    hook(&mut model, 171.0, complete(Direction::Unpatching, Some(0)));
    observe(&mut model, 171.1, &[]);
    let past = snapshot(&model, 171.2).last_transitions[0].clone();
    assert_eq!(
        (past.outcome, past.direction),
        (Outcome::Reversed, Some(Direction::Patching))
    );
    assert_eq!(past.reversed_by, Some(operator));
    assert_eq!(past.forced_by, None);
    assert_eq!(past.duration_seconds, Some(71.0));
}

#[test]
fn the_log_tells_of_the_time_before_the_hooks() {
    let mut model = model(Some(200));
    log(&mut model, 100.0, begin(Direction::Patching));
    observe(&mut model, 200.5, &[patch(true, true)]);
    let now = transition(&model, 200.5);
    assert_eq!(
        (now.age_seconds, now.phase),
        (Some(100.5), Some(Phase::Stalled))
    );
}

#[test]
fn with_neither_start_nor_progress_no_phase_is_claimed() {
    let mut model = model(None);
    observe(&mut model, 500.0, &[patch(true, true)]);
    sample(&mut model, 500.0, Direction::Patching, 0..3);
    let now = transition(&model, 500.0);
    assert_eq!((now.phase, now.seconds_without_progress), (None, None));
    assert_eq!(now.blockers[0].since_seconds, None);
}

#[test]
fn who_comes_late_does_not_know_when_a_task_last_switched() {
    let mut late = model(Some(200));
    log(&mut late, 100.0, begin(Direction::Patching));
    observe(&mut late, 200.5, &[patch(true, true)]);
    sample(&mut late, 200.5, Direction::Patching, 0..3);
    let now = transition(&late, 200.5);
    assert_eq!(
        (now.phase, now.seconds_without_progress),
        (Some(Phase::Stalled), None)
    );
    // A task switches before its eyes.
    sample(&mut late, 201.0, Direction::Patching, 0..2);
    let now = transition(&late, 203.0);
    assert_eq!(now.seconds_without_progress, Some(2.0));
}

#[test]
fn the_log_does_not_count_signals() {
    let mut model = model(Some(200));
    log(&mut model, 100.0, begin(Direction::Patching));
    log(&mut model, 115.0, EventKind::Signaling);
    observe(&mut model, 200.5, &[patch(true, true)]);
    assert_eq!(transition(&model, 200.5).signals, None);
}

#[test]
fn a_start_that_nobody_saw_is_no_start_now() {
    let mut model = model(None);
    observe(&mut model, 500.0, &[patch(true, true)]);
    for seconds in [500.0, 501.0, 506.0] {
        sample(&mut model, seconds, Direction::Patching, 0..3);
    }
    let now = transition(&model, 506.0);
    assert_eq!((now.phase, now.age_seconds), (None, None));
    assert_eq!(now.blockers[0].since_seconds, None);
    sample(&mut model, 507.0, Direction::Patching, 0..4);
    let born = &transition(&model, 509.0).blockers[3];
    assert_eq!(born.since_seconds, Some(2.0), "{born:?}");
}

#[test]
fn the_kernel_signals_at_every_fifteenth_try() {
    let mut model = begun();
    let try_after = |before| EventKind::Try {
        patch: None,
        direction: None,
        before: Some(before),
    };
    hook(&mut model, 114.0, try_after(14));
    assert_eq!(transition(&model, 114.0).signals, Some(0));
    hook(&mut model, 115.0, try_after(15));
    assert_eq!(transition(&model, 115.0).signals, Some(1));
    hook(&mut model, 130.0, try_after(30));
    let now = transition(&model, 130.0);
    assert_eq!((now.signals, now.tries), (Some(2), Some(31)));
}

#[test]
fn tries_are_counted_in_each_direction_and_in_all() {
    let try_after = |before| EventKind::Try {
        patch: None,
        direction: None,
        before: Some(before),
    };
    let mut model = begun();
    hook(&mut model, 166.0, try_after(66));
    let now = transition(&model, 166.0);
    assert_eq!((now.tries, now.tries_in_all), (Some(67), Some(67)));
    hook(
        &mut model,
        167.0,
        EventKind::Reversed {
            patch: None,
            by: None,
        },
    );
    assert_eq!(transition(&model, 167.0).tries_in_all, None);
    hook(&mut model, 167.1, try_after(0));
    let now = transition(&model, 167.2);
    assert_eq!((now.tries, now.tries_in_all), (Some(1), Some(68)));
    assert_eq!((now.signals, now.signals_in_all), (Some(0), Some(4)));
    hook(&mut model, 168.0, complete(Direction::Unpatching, Some(1)));
    observe(&mut model, 168.1, &[]);
    let past = snapshot(&model, 168.2).last_transitions[0].clone();
    assert_eq!((past.tries, past.tries_in_all), (Some(2), Some(69)));
    assert_eq!((past.signals, past.signals_in_all), (Some(0), Some(4)));
}

#[test]
fn tries_before_lpwatch_came_are_not_invented() {
    let mut model = model(Some(100));
    observe(&mut model, 200.0, &[patch(true, true)]);
    let kind = EventKind::Try {
        patch: Some(PATCH.to_owned()),
        direction: Some(Direction::Patching),
        before: Some(7),
    };
    hook(&mut model, 201.0, kind);
    let now = transition(&model, 201.0);
    assert_eq!((now.tries, now.tries_in_all), (Some(8), None));
}
