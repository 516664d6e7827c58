//! The tasks left: their number at a forced end, idle ones, and for how long.

use super::*;

#[test]
fn force_switches_the_tasks_that_were_left_before() {
    let mut story = Story::new();
    let mut running = transition();
    running.tasks_remaining = Some(3);
    running.phase = Some(Phase::Stalled);
    story.step(&running);
    story.wait(11);
    running.forced = true;
    running.tasks_remaining = Some(0);
    running.phase = Some(Phase::Progressing);
    let news = story.step(&running);
    let forced = only(&news);
    assert_eq!(forced.kind, EntryKind::TransitionForced);
    assert!(
        forced.message.contains(" 3 tasks left switched "),
        "{}",
        forced.message
    );
    assert_eq!(forced.details.tasks_remaining, Some(3));
    story.wait(20);
    assert!(story.step(&running).is_empty(), "nothing has resumed");
}

#[test]
fn without_a_look_before_it_is_unknown_how_many_were_forced() {
    let mut story = Story::new();
    let mut running = transition();
    running.tasks_remaining = None;
    story.step(&running);
    running.forced = true;
    running.tasks_remaining = Some(0);
    let news = story.step(&running);
    let forced = only(&news);
    assert!(
        forced.message.contains(" The tasks left switched "),
        "{}",
        forced.message
    );
    assert_eq!(forced.details.tasks_remaining, None);
}

#[test]
fn idle_tasks_are_not_none() {
    let mut story = Story::new();
    let mut running = transition();
    story.step(&running);
    running.tasks_remaining = Some(0);
    running.blockers[0].reason = Some(Reason::Idle);
    running.phase = Some(Phase::Slow);
    let news = story.step(&running);
    let slow = only(&news);
    assert!(
        slow.message.ends_with(" Only idle tasks are left."),
        "{}",
        slow.message
    );
}

#[test]
fn the_time_between_two_reversals_is_no_time_left() {
    let mut story = Story::new();
    let mut running = transition();
    let held = running.blockers.clone();
    let mut turn = |direction, seconds: u64, blockers: &[Blocker]| {
        running.direction = direction;
        running.reversed = true;
        running.blockers = blockers.to_vec();
        for _ in 0..=seconds {
            story.step(&running);
            story.wait(1);
        }
    };
    turn(Direction::Unpatching, 2, &held);
    turn(Direction::Patching, 9, &[]);
    turn(Direction::Unpatching, 3, &held);
    let ended = PastTransition {
        ended_at: story.moment.wall,
        ..past(Outcome::Reversed)
    };
    let news = story.take(samples::snapshot(Vec::new()), &[ended]);
    let [only] = &news.records[0].blockers[..] else {
        panic!("{news:?}");
    };
    let stay = only.last_seconds - only.first_seconds;
    assert!((stay - 3.0).abs() < 0.1, "{only:?}");
}
