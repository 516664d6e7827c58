//! Turns that come late, are lost, or come faster than readings.

use super::*;

#[test]
fn a_reading_waits_for_its_turn() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0).call(NONE, 5);
    // The kernel is ahead: its events are not read yet.
    host.epoch = 1;
    host.call(OLD, 2).call(NEW, 3).read();
    assert_eq!(
        host.tracker.watched(&moment(10.0))[0]
            .calls
            .as_ref()
            .unwrap()
            .old,
        0
    );
    assert!(host.tracker.is_waiting());
    host.epoch = 0;
    host.begin("p", Direction::Patching, false);
    host.at(10.2).see(&[turning("p", &["f"], false)]).read();
    assert!(!host.tracker.is_waiting());
    let calls = host.calls("p");
    assert_eq!((calls.old, calls.new, calls.uncertain), (7, 3, 0));
}

#[test]
fn a_lost_turn_makes_calls_uncertain_not_wrong() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0).call(NONE, 5);
    host.epoch = 1;
    host.call(OLD, 2).call(NEW, 3);
    host.epoch = 2;
    host.call(NONE, 100).read();
    // Two events were lost; the next reading shows the state.
    host.at(10.5).see(&[on("p", &["f"])]).read();
    assert!(host.tracker.is_waiting(), "they may be on their way");
    host.at(11.5).see(&[on("p", &["f"])]).read();
    let calls = host.calls("p");
    assert_eq!((calls.new, calls.uncertain), (100, 5));
    assert_eq!((calls.old, calls.before), (0, None));
    host.at(12.0).call(NONE, 7).read();
    assert_eq!(host.calls("p").new, 107);
}

#[test]
fn buckets_used_again_before_they_were_read_are_uncertain() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.call(NONE, 1);
    for round in 0..3 {
        let start = 10.0 * f64::from(round + 1);
        host.at(start).begin("p", Direction::Patching, false);
        host.at(start + 0.1).see(&[turning("p", &["f"], false)]);
        host.at(start + 1.0).end(Direction::Patching).call(NONE, 10);
        host.at(start + 2.0)
            .begin("p", Direction::Unpatching, false);
        host.at(start + 3.0)
            .end(Direction::Unpatching)
            .call(NONE, 100);
        host.at(start + 3.1).see(&[]);
    }
    host.at(50.0).read();
    let watched = host.tracker.watched(&moment(50.0));
    let calls = watched[0].calls.as_ref().unwrap();
    assert_eq!(calls.old + calls.new + calls.uncertain, 1 + 3 * 110);
    assert!(calls.uncertain > 0);
}

#[test]
fn calls_that_the_hook_missed_are_told_apart_where_all_ran_the_same() {
    let mut host = CallHost::applied(10);
    host.at(12.0).call(NONE, 3).miss(4).read();
    let calls = host.calls("p");
    assert_eq!((calls.new, calls.uncertain), (7, 0));
    assert_eq!(sums(calls.after.as_ref()), (0, 7));
    // Nobody knows whether it was missed before the turn or after it.
    host.at(13.0)
        .miss(5)
        .begin("p", Direction::Unpatching, false);
    host.at(13.1)
        .call(OLD, 2)
        .see(&[turning("p", &["f"], true)]);
    host.read();
    let calls = host.calls("p");
    assert_eq!((calls.new, calls.uncertain), (7, 5));
    host.at(13.5).read();
    assert_eq!(host.calls("p").uncertain, 5, "told once");
}

#[test]
fn entries_that_the_hook_missed_are_no_lost_effect() {
    let mut host = CallHost::applied(10);
    host.at(12.0).call(NONE, 50).enter("p", 50).read();
    host.at(13.0).call(NONE, 50).miss_entries(50).read();
    host.at(14.0).read();
    let calls = host.calls("p");
    assert_eq!((calls.effective, calls.new), (Some(true), 100));
}

#[test]
fn transitions_between_two_readings_are_told_apart() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0)
        .call(NONE, 5)
        .begin("p", Direction::Patching, false);
    host.at(10.1)
        .call(OLD, 2)
        .call(NEW, 3)
        .see(&[turning("p", &["f"], false)]);
    host.at(10.2).end(Direction::Patching).call(NONE, 7);
    host.at(10.3).see(&[on("p", &["f"])]).read();
    let calls = host.calls("p");
    assert_eq!(sums(calls.before.as_ref()), (5, 0));
    assert_eq!(sums(calls.during.as_ref()), (2, 3));
    assert_eq!(sums(calls.after.as_ref()), (0, 7));
}

#[test]
fn sysfs_is_believed_once_it_goes_on_saying_so() {
    let mut host = CallHost::applied(10);
    // While a patch is freed sysfs can show one more than there is.
    host.at(12.0)
        .see(&[on("p", &["f"]), on("q", &["f"])])
        .read();
    host.at(12.1).see(&[on("p", &["f"])]).call(NONE, 5).read();
    assert_eq!((host.calls("p").new, host.calls("p").uncertain), (5, 0));
    // Its removal was never reported.
    host.at(13.0).see(&[]).read();
    host.at(13.5).see(&[]).read();
    host.at(14.5).see(&[]).call(NONE, 50).read();
    let watched = host.tracker.watched(&moment(14.5));
    assert_eq!(watched[0].calls.as_ref().unwrap().old, 60);
}

#[test]
fn a_counter_that_begins_again_is_another() {
    let mut host = CallHost::applied(10);
    host.at(20.0).call(NONE, 500).read();
    assert_eq!(host.calls("p").new, 500);
    host.calls = Buckets::default();
    host.since = 21.0;
    host.at(22.0).call(NONE, 3).read();
    host.at(32.0).call(NONE, 3).read();
    let calls = host.calls("p");
    assert_eq!((calls.old, calls.new), (0, 6));
    assert_eq!(calls.counted_since, moment(21.0).wall);
    assert!(calls.new_per_second.unwrap() >= 0.0);
}

#[test]
fn numbers_beyond_the_largest_begin_anew() {
    let mut host = CallHost::default();
    host.calls[bucket(0, NONE)] = u64::MAX - 1;
    host.at(0.0).see(&[]).read();
    host.calls[bucket(0, NONE)] = 3;
    host.at(1.0).read();
    let watched = host.tracker.watched(&moment(1.0));
    // 2^64 - 2 and then five more: the sum itself has wrapped, nothing panics.
    assert_eq!(watched[0].calls.as_ref().unwrap().old, 3);
}

#[test]
fn what_is_not_counted_says_why() {
    let mut tracker = CallTracker::default();
    tracker.read(CallsReading {
        at: Duration::from_secs(1),
        epoch: 0,
        functions: vec![FunctionReading {
            id: id("g"),
            asked: true,
            counter: Counter::Missing("notrace".to_owned()),
            entries: Vec::new(),
            suspects: Vec::new(),
        }],
        ftrace_off: false,
    });
    assert_eq!(tracker.why_not(&id("g")), Some("notrace"));
    let watched = tracker.watched(&moment(1.0));
    assert_eq!(watched[0].not_counted.as_deref(), Some("notrace"));
    assert_eq!(watched[0].calls, None);
}
