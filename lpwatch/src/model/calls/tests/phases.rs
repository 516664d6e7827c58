//! Before, during and after; stacks of patches.

use super::*;

#[test]
fn every_call_is_in_one_phase() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0).call(NONE, 1000).read();
    host.at(20.0).begin("p", Direction::Patching, false);
    // The kernel has not come to that task yet.
    host.call(NONE, 1).call(OLD, 20).call(NEW, 300);
    host.at(20.5).see(&[turning("p", &["f"], false)]).read();
    host.at(22.0)
        .call(OLD, 7)
        .call(NEW, 9)
        .end(Direction::Patching);
    // Tasks are in the transition's states for a moment longer.
    host.call(NEW, 4).call(NONE, 50);
    host.at(23.0).see(&[on("p", &["f"])]).read();
    let calls = host.calls("p");
    assert_eq!(sums(calls.before.as_ref()), (1001, 0));
    assert_eq!(sums(calls.during.as_ref()), (27, 309));
    assert_eq!(sums(calls.after.as_ref()), (0, 54));
    assert_eq!((calls.old, calls.new, calls.uncertain), (1028, 363, 0));
    let seconds = [&calls.before, &calls.during, &calls.after]
        .map(|phase| phase.as_ref().map_or(0.0, |phase| phase.seconds));
    assert_eq!(format!("{seconds:?}"), "[20.0, 2.0, 1.0]");
    let before = calls.before.unwrap();
    assert!((before.old_per_second.unwrap() - 50.05).abs() < 1e-9);
    // It is shown with its patch, and only there.
    assert!(host.tracker.watched(&moment(23.0)).is_empty());
}

#[test]
fn what_is_watched_without_a_patch_is_all_before_one() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(30.0).call(NONE, 60).read();
    let watched = host.tracker.watched(&moment(30.0));
    let calls = watched[0].calls.as_ref().unwrap();
    assert_eq!(
        (watched[0].name.as_str(), calls.old, calls.new),
        ("f", 60, 0)
    );
    assert_eq!(sums(calls.before.as_ref()), (60, 0));
    assert_eq!(calls.effective, None);
    assert!((calls.old_per_second.unwrap() - 2.0).abs() < 1e-9);
}

#[test]
fn a_daemon_that_comes_late_has_no_before() {
    let mut host = CallHost {
        epoch: 0,
        since: 100.0,
        ..CallHost::default()
    };
    host.at(100.0).see(&[on("p", &["f"])]).read();
    host.at(110.0).call(NONE, 5).read();
    let calls = host.calls("p");
    assert_eq!((calls.old, calls.new), (0, 5));
    assert_eq!(
        (calls.before.is_some(), calls.during.is_some()),
        (false, false)
    );
    assert_eq!(sums(calls.after.as_ref()), (0, 5));

    let mut host = CallHost {
        epoch: 1,
        since: 100.0,
        ..CallHost::default()
    };
    host.at(100.0).see(&[turning("p", &["f"], true)]).read();
    host.at(101.0).call(OLD, 2).call(NEW, 3).read();
    let calls = host.calls("p");
    assert!(calls.before.is_none());
    assert_eq!(sums(calls.during.as_ref()), (2, 3));
}

#[test]
fn a_patch_taken_back_ran_for_a_while() {
    let mut host = CallHost::applied(100);
    host.at(20.0)
        .call(NONE, 10)
        .begin("p", Direction::Unpatching, false);
    host.call(NEW, 3).call(OLD, 4);
    host.at(20.5).see(&[turning("p", &["f"], false)]).read();
    let calls = host.calls("p");
    assert_eq!(sums(calls.after.as_ref()), (0, 10));
    assert_eq!(sums(calls.during.as_ref()), (4, 3));
    host.at(21.0)
        .end(Direction::Unpatching)
        .call(NONE, 1000)
        .call(OLD, 1);
    host.at(21.1).see(&[]).read();
    // Now it is watched without a patch, and a new *before* begins.
    assert!(host.tracker.calls("p", &id("f"), &moment(21.1)).is_none());
    host.at(25.0).call(NONE, 5).read();
    let watched = host.tracker.watched(&moment(25.0));
    let calls = watched[0].calls.as_ref().unwrap();
    assert_eq!((calls.old, calls.new), (100 + 4 + 1001 + 5, 10 + 3));
    assert_eq!(sums(calls.before.as_ref()), (5, 0));
}

#[test]
fn a_reversal_leaves_the_states_their_meaning() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0)
        .call(NONE, 9)
        .begin("p", Direction::Patching, false);
    host.at(11.0)
        .call(OLD, 2)
        .call(NEW, 3)
        .see(&[turning("p", &["f"], true)])
        .read();
    // Reversed: the same epoch goes on.
    host.at(12.0)
        .call(OLD, 20)
        .call(NEW, 30)
        .see(&[turning("p", &["f"], false)])
        .read();
    let calls = host.calls("p");
    assert_eq!(sums(calls.during.as_ref()), (22, 33));
    host.at(13.0).end(Direction::Unpatching).call(NONE, 100);
    host.at(13.1).see(&[]).read();
    let watched = host.tracker.watched(&moment(13.1));
    let calls = watched[0].calls.as_ref().unwrap();
    assert_eq!((calls.old, calls.new), (9 + 22 + 100, 33));
}

#[test]
fn the_patch_on_top_is_new() {
    let mut host = CallHost::applied(10);
    host.at(20.0)
        .call(NONE, 100)
        .begin("q", Direction::Patching, false);
    host.call(OLD, 5).call(NEW, 6);
    host.at(20.5)
        .see(&[on("p", &["f"]), turning("q", &["f"], false)])
        .read();
    host.at(21.0).end(Direction::Patching).call(NONE, 1000);
    host.at(21.1)
        .see(&[on("p", &["f"]), on("q", &["f"])])
        .read();
    let upper = host.calls("q");
    assert_eq!(sums(upper.before.as_ref()), (110, 0));
    assert_eq!(sums(upper.during.as_ref()), (5, 6));
    assert_eq!(sums(upper.after.as_ref()), (0, 1000));
    let lower = host.calls("p");
    assert_eq!((lower.old, lower.new, lower.above), (10, 105, 1006));
}

#[test]
fn a_patch_of_something_else_changes_nothing() {
    let mut host = CallHost::applied(10);
    host.at(20.0)
        .call(NONE, 100)
        .begin("q", Direction::Patching, false);
    host.call(OLD, 5).call(NEW, 6);
    host.at(20.5)
        .see(&[on("p", &["f"]), turning("q", &["g"], false)])
        .read();
    host.at(21.0).end(Direction::Patching).call(NONE, 1000);
    host.at(21.1)
        .see(&[on("p", &["f"]), on("q", &["g"])])
        .read();
    let calls = host.calls("p");
    assert_eq!((calls.old, calls.new, calls.above), (10, 1111, 0));
    assert!(host.tracker.calls("q", &id("f"), &moment(21.1)).is_none());
}

#[test]
fn a_replacement_gives_the_original_back() {
    let mut host = CallHost::applied(10);
    host.at(20.0)
        .call(NONE, 100)
        .begin("r", Direction::Patching, true);
    // It does not change `f`: who has switched runs the original.
    host.call(OLD, 5).call(NEW, 6);
    host.at(20.5)
        .see(&[on("p", &["f"]), turning("r", &["g"], false)])
        .read();
    let calls = host.calls("p");
    assert_eq!((calls.old, calls.new), (10 + 6, 105));
    host.at(21.0).end(Direction::Patching).call(NONE, 1000);
    host.at(21.1).see(&[on("r", &["g"])]).read();
    let watched = host.tracker.watched(&moment(21.1));
    let calls = watched[0].calls.as_ref().unwrap();
    assert_eq!((calls.old, calls.new), (1016, 105));
}

#[test]
fn without_a_known_order_nothing_is_claimed() {
    let both = [on("p", &["f"]), on("q", &["f"])];
    let mut host = CallHost::default();
    host.at(0.0).see(&both).read();
    host.at(1.0).call(NONE, 7).read();
    assert_eq!(host.calls("p").uncertain, 7);
    assert_eq!((host.calls("p").new, host.calls("q").new), (0, 0));
    // One that comes later lies on top.
    host.at(2.0).begin("t", Direction::Patching, false);
    host.at(2.1)
        .see(&[both[0], both[1], turning("t", &["f"], false)]);
    host.at(3.0).end(Direction::Patching).call(NONE, 4);
    host.at(3.1)
        .see(&[both[0], both[1], on("t", &["f"])])
        .read();
    assert_eq!((host.calls("t").new, host.calls("t").uncertain), (4, 7));
    // The kernel tells the order from 6.14 on.
    let ordered = |seen: SeenPatch<'static>, order| SeenPatch {
        order: Some(order),
        ..seen
    };
    let mut host = CallHost::default();
    host.at(0.0)
        .see(&[ordered(on("p", &["f"]), 2), ordered(on("q", &["f"]), 1)]);
    host.at(1.0).call(NONE, 7).read();
    assert_eq!((host.calls("p").new, host.calls("q").above), (7, 7));
}
