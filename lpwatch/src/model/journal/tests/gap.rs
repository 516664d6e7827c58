//! Times in which lpwatch did not run, and clocks that are set.

use super::*;

#[test]
fn a_time_in_which_it_did_not_run_is_told_and_kept_with_the_transition() {
    let mut story = Story::new();
    story.step(&transition());
    story.stop(9);
    assert!(story.step(&transition()).is_empty(), "only slow");
    story.stop(60);
    let news = story.step(&transition());
    assert_eq!(kinds(&news), [EntryKind::WatchInterrupted]);
    let told = only(&news);
    assert_eq!(told.details.seconds, Some(60.0));
    assert_eq!(told.at, story.moment.wall - SignedDuration::from_secs(60));
    assert_eq!(news.interruption(), Some(told.message.as_str()));
    assert!(told.message.contains(" for 60 s: "), "{}", told.message);
    story.wait(1);
    let mut ended = past(Outcome::Completed);
    ended.ended_at = story.moment.wall;
    ended.duration_seconds = Some(75.0);
    let news = story.take(samples::snapshot(Vec::new()), &[ended]);
    assert!((news.records[0].unwatched_seconds - 60.0).abs() < 1e-6);
    assert!(news.has_transition() && news.interruption().is_none());
}

#[test]
fn what_happened_while_it_did_not_run_is_known_but_was_not_watched() {
    let mut story = Story::new();
    // Nothing happens: it sleeps.
    story.stop(3600);
    let seconds_ago = |ago| story.moment.wall - SignedDuration::from_secs(ago);
    let mut on = past(Outcome::Completed);
    on.started_at = Some(seconds_ago(30));
    on.ended_at = seconds_ago(28);
    on.duration_seconds = Some(2.0);
    let news = story.take(samples::snapshot(Vec::new()), &[on]);
    assert_eq!(
        kinds(&news),
        [
            EntryKind::TransitionBegun,
            EntryKind::WatchInterrupted,
            EntryKind::TransitionEnded
        ]
    );
    assert!(news.entries[1].message.contains("at least 30 s"));
    assert!((news.records[0].unwatched_seconds - 2.0).abs() < 1e-6);
}

#[test]
fn a_clock_that_is_set_back_changes_no_duration_and_no_order() {
    let mut story = Story::new();
    let mut begun = transition();
    begun.started_at = Some(story.moment.wall);
    let first = story.step(&begun);
    story.wait(2);
    story.moment.wall -= SignedDuration::from_hours(5);
    begun.age_seconds = Some(2.0);
    assert!(story.step(&begun).is_empty());
    let mut ended = past(Outcome::Completed);
    (ended.started_at, ended.ended_at) = (begun.started_at, story.moment.wall);
    ended.duration_seconds = Some(2.0);
    let news = story.take(samples::snapshot(Vec::new()), &[ended]);
    let mut entries = news.entries.iter();
    let end = entries.find(|entry| entry.kind == EntryKind::TransitionEnded);
    let end = end.unwrap();
    assert!((end.boot_seconds - first.entries[0].boot_seconds - 2.0).abs() < 1e-6);
    let record = &news.records[0];
    assert_eq!(
        record.started_boot_seconds,
        Some(first.entries[0].boot_seconds)
    );
    assert!(record.unwatched_seconds.abs() < 1e-6);
}
