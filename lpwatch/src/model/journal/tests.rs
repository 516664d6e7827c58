use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::model::{
    Blocker, Cause, Culprit, Direction, Moment, Operator, Outcome, Phase, Reason, Snapshot,
    calls::figures::Entered,
    document::DocumentHead,
    samples::{self, now},
    snapshot::{Calls, PastTransition, Patch, Severity, Transition},
    stops::{LastStop, Stops},
    waits::{CallbackKind, TransitionHold, WaitReason},
};

use super::{Details, Entry, EntryKind, Journal, News};

mod gap;
mod left;

/// A journal that is fed, with a clock.
struct Story {
    journal: Journal,
    moment: Moment,
}

impl Story {
    /// The first snapshot has no patch.
    fn new() -> Self {
        let mut story = Self {
            journal: Journal::new(Some("boot".to_owned())),
            moment: super::samples::moment(),
        };
        let first = story.take(samples::snapshot(Vec::new()), &[]);
        assert_eq!(kinds(&first), [EntryKind::WatchBegan]);
        story
    }

    fn wait(&mut self, seconds: u64) {
        self.moment.boot += Duration::from_secs(seconds);
        self.moment.wall += SignedDuration::try_from(Duration::from_secs(seconds)).unwrap();
        // It looks all the time.
        self.journal.looked = self.moment.boot;
    }

    /// It does not run.
    fn stop(&mut self, seconds: u64) {
        let looked = self.journal.looked;
        self.wait(seconds);
        self.journal.looked = looked;
    }

    fn take(&mut self, mut next: Snapshot, ended: &[PastTransition]) -> News {
        next.head = DocumentHead {
            taken_at: self.moment.wall,
            ..next.head
        };
        self.journal.take(&Arc::new(next), ended, &self.moment)
    }

    /// A snapshot with this transition of `lp_fix`.
    fn step(&mut self, transition: &Transition) -> News {
        self.take(with(Some(transition.clone())), &[])
    }
}

fn kinds(news: &News) -> Vec<EntryKind> {
    news.entries.iter().map(|entry| entry.kind).collect()
}

fn messages(news: &News) -> Vec<&str> {
    news.entries
        .iter()
        .map(|entry| entry.message.as_str())
        .collect()
}

fn only(news: &News) -> &Entry {
    assert_eq!(news.entries.len(), 1, "{news:?}");
    &news.entries[0]
}

fn with(transition: Option<Transition>) -> Snapshot {
    samples::snapshot(vec![Patch {
        transition,
        ..samples::patch("lp_fix")
    }])
}

fn transition() -> Transition {
    let snapshot = samples::progressing();
    let mut transition = snapshot.patches[0].transition.clone().unwrap();
    transition.blockers.truncate(1);
    transition
}

fn past(outcome: Outcome) -> PastTransition {
    samples::past("lp_fix", outcome)
}

#[test]
fn the_same_snapshot_twice_is_no_news() {
    let mut story = Story::new();
    let begun = story.step(&transition());
    assert_eq!(kinds(&begun), [EntryKind::TransitionBegun]);
    assert_eq!(begun.entries[0].at, transition().started_at.unwrap());
    for _ in 0..20 {
        assert!(story.step(&transition()).is_empty());
        story.wait(1);
    }
}

#[test]
fn a_stall_is_told_from_its_beginning_to_its_reversal() {
    let mut story = Story::new();
    let mut running = transition();
    story.step(&running);
    story.wait(11);
    running.tasks_remaining = Some(1);
    running.phase = Some(Phase::Slow);
    running.signals = Some(1);
    let news = story.step(&running);
    assert_eq!(
        kinds(&news),
        [
            EntryKind::TasksSignalled,
            EntryKind::TasksSwitched,
            EntryKind::TransitionSlow
        ]
    );
    assert_eq!(
        messages(&news)[1],
        "56 tasks switched or ended; 1 left of 98."
    );
    running.phase = Some(Phase::Stalled);
    running.signals = Some(4);
    running.blockers[0].reason = Some(Reason::SleepingOnFunction);
    story.wait(60);
    let news = story.step(&running);
    let stalled = only(&news);
    assert_eq!(
        (stalled.kind, stalled.severity),
        (EntryKind::TransitionStalled, Severity::Danger)
    );
    assert_eq!(stalled.details.by_reason.len(), 1);

    running.direction = Direction::Unpatching;
    running.reversed = true;
    running.reversed_by = Some(Operator {
        tid: 812,
        comm: "bash".to_owned(),
        uid: 0,
        login_uid: Some(1000),
    });
    running.phase = Some(Phase::Progressing);
    running.signals = Some(0);
    running.tasks_remaining = Some(97);
    running.started_at = Some(story.moment.wall);
    let news = story.step(&running);
    let reversed = only(&news);
    assert_eq!(reversed.kind, EntryKind::TransitionReversed);
    assert_eq!(reversed.details.direction, Some(Direction::Unpatching));
    let who = "It was bash, thread 812, uid 0, login uid 1000.";
    assert!(reversed.message.ends_with(who), "{}", reversed.message);
    let Details {
        tid,
        uid,
        login_uid,
        ..
    } = reversed.details;
    assert_eq!((tid, uid, login_uid), (Some(812), Some(0), Some(1000)));
    story.wait(2);
    let ended = PastTransition {
        ended_at: story.moment.wall,
        duration_seconds: Some(75.0),
        ..past(Outcome::Reversed)
    };
    let news = story.take(samples::snapshot(Vec::new()), &[ended]);
    let told = kinds(&news);
    assert_eq!(told, [EntryKind::TasksSwitched, EntryKind::TransitionEnded]);
    let end = &news.entries[1];
    assert_eq!(end.details.outcome, Some(Outcome::Reversed));
    assert_eq!(end.severity, Severity::Warning);
    let record = &news.records[0];
    assert!(record.course.len() > 4, "both directions: {record:?}");
    assert!(record.blockers[0].last_seconds >= 71.0, "{record:?}");
    assert_eq!(
        record.started_boot_seconds,
        Some(record.ended_boot_seconds - 75.0)
    );
}

#[test]
fn what_begins_and_ends_between_two_snapshots_is_told_in_order() {
    let mut story = Story::new();
    let on = past(Outcome::Completed);
    let mut off = past(Outcome::Completed);
    off.direction = Some(Direction::Unpatching);
    off.started_at = Some(on.ended_at + SignedDuration::from_secs(1));
    off.ended_at = on.ended_at + SignedDuration::from_secs(2);
    let news = story.take(samples::snapshot(Vec::new()), &[on, off]);
    assert_eq!(
        kinds(&news),
        [
            EntryKind::TransitionBegun,
            EntryKind::TransitionEnded,
            EntryKind::TransitionBegun,
            EntryKind::TransitionEnded
        ]
    );
    assert_eq!(
        messages(&news)[1],
        "Enabling lp_fix completed after 1.3 s (98 tasks)."
    );
    assert_eq!(news.records.len(), 2);
}

#[test]
fn a_refusal_has_the_error_that_was_known_later() {
    let mut story = Story::new();
    let known = samples::refused();
    let mut early = known.clone();
    early.refusal.as_mut().unwrap().errno = None;
    let mut next = samples::snapshot(Vec::new());
    next.last_transitions = vec![known];
    let news = story.take(next, &[early]);
    let refused = only(&news);
    assert_eq!(refused.kind, EntryKind::PatchRefused);
    assert_eq!(refused.details.errno, Some(22));
    assert_eq!(
        refused.message,
        "lp_refused was refused: error 22: symbol 'nope' not found in symbol table."
    );
}

#[test]
fn switching_is_summed_and_summed_up_at_the_end() {
    let mut story = Story::new();
    let mut running = transition();
    let mut told = 0;
    for left in (30..=57).rev() {
        running.tasks_remaining = Some(left);
        told += kinds(&story.step(&running))
            .iter()
            .filter(|kind| **kind == EntryKind::TasksSwitched)
            .count();
        story.wait(1);
    }
    assert_eq!(told, 2, "one in ten seconds");
    let mut end = past(Outcome::Completed);
    end.ended_at = story.moment.wall;
    let news = story.take(with(None), &[end]);
    assert_eq!(
        kinds(&news),
        [EntryKind::TasksSwitched, EntryKind::TransitionEnded]
    );
    assert!(messages(&news)[0].ends_with("0 left of 98."), "{news:?}");
}

#[test]
fn a_module_that_comes_and_goes_is_told_and_not_a_transition() {
    let mut story = Story::new();
    let state = |patched| {
        let mut snapshot = with(None);
        snapshot.patches[0]
            .objects
            .push(samples::object("nfsd", patched, &["f"]));
        snapshot
    };
    story.take(state(false), &[]);
    let news = story.take(state(true), &[]);
    let loaded = only(&news);
    assert_eq!(loaded.kind, EntryKind::ObjectLoaded);
    assert_eq!(loaded.details.object.as_deref(), Some("nfsd"));
    assert_eq!(
        kinds(&story.take(state(false), &[])),
        [EntryKind::ObjectUnloaded]
    );
    let mut refused = state(false);
    refused.patches[0].objects[1] = samples::refusing("nfsd");
    assert_eq!(
        kinds(&story.take(refused.clone(), &[])),
        [EntryKind::ObjectRefused]
    );
    assert!(story.take(refused.clone(), &[]).is_empty());
    // A transition changes the objects itself.
    let mut disabling = state(true);
    story.take(disabling.clone(), &[]);
    disabling.patches[0].enabled = Some(false);
    disabling.patches[0].objects[1].patched = Some(false);
    disabling.patches[0].transition = Some(Transition {
        direction: Direction::Unpatching,
        ..transition()
    });
    let news = story.take(disabling, &[]);
    assert_eq!(kinds(&news), [EntryKind::TransitionBegun]);
}

#[test]
fn a_callback_begins_and_ends() {
    let mut story = Story::new();
    let mut running = transition();
    running.waits_for = Some(TransitionHold {
        reason: WaitReason::Callback,
        callback: Some(CallbackKind::PostPatch),
        function: Some("post".to_owned()),
        module: Some("lp_fix".to_owned()),
        tid: Some(7),
        tgid: Some(7),
        comm: Some("insmod".to_owned()),
        kind: None,
        state: None,
        since_seconds: Some(3.0),
        stack: Vec::new(),
        frame: None,
        holder: None,
    });
    let news = story.step(&running);
    assert_eq!(
        kinds(&news),
        [EntryKind::TransitionBegun, EntryKind::CallbackBegun]
    );
    assert!(story.step(&running).is_empty());
    story.wait(4);
    let mut end = past(Outcome::Completed);
    end.ended_at = story.moment.wall;
    let news = story.take(with(None), &[end]);
    assert_eq!(
        kinds(&news),
        [
            EntryKind::CallbackEnded,
            EntryKind::TasksSwitched,
            EntryKind::TransitionEnded
        ]
    );
    assert_eq!(news.entries[0].details.seconds, Some(7.0));
}

#[test]
fn a_foreign_program_is_told_once() {
    let mut story = Story::new();
    let mut running = transition();
    running.blockers = vec![Blocker {
        reason: Some(Reason::UnreliableStack),
        cause: Some(Cause::BpfTrampoline),
        program: Some(Culprit {
            name: Some("trace_read".to_owned()),
            kind: Some("fexit".to_owned()),
            ..Culprit::default()
        }),
        ..samples::task(139, "reader", false)
    }];
    let news = story.step(&running);
    assert_eq!(
        kinds(&news),
        [EntryKind::TransitionBegun, EntryKind::ForeignTracing]
    );
    running.blockers.push(Blocker {
        tid: 140,
        ..running.blockers[0].clone()
    });
    assert!(story.step(&running).is_empty());
}

fn calls(new: u64, effective: Option<bool>) -> Calls {
    Calls {
        old: 5,
        new,
        old_per_second: None,
        new_per_second: None,
        rates: Vec::new(),
        counter: "fentry".to_owned(),
        counted_since: now(),
        before: None,
        during: None,
        after: None,
        new_share: None,
        entered: None::<Entered>,
        not_entered: None,
        effective,
        above: 0,
        uncertain: 0,
        missed_together: None,
        findings: Vec::new(),
    }
}

#[test]
fn new_code_is_told_when_it_is_first_entered_and_when_it_is_not() {
    let mut story = Story::new();
    let mut state = |new, effective| {
        let mut snapshot = with(None);
        snapshot.patches[0].objects[0].functions[0].calls = Some(calls(new, effective));
        kinds(&story.take(snapshot, &[]))
    };
    // That the patch is enabled is new to this journal.
    assert_eq!(state(0, None), [EntryKind::PatchEnabled]);
    assert_eq!(state(1, Some(true)), [EntryKind::NewCodeEntered]);
    assert_eq!(state(2, Some(true)), []);
    assert_eq!(state(9, Some(false)), [EntryKind::EffectLost]);
    assert_eq!(state(9, Some(false)), []);
    assert_eq!(state(12, Some(true)), [EntryKind::EffectRegained]);
}

#[test]
fn a_patch_that_another_replaces_is_told() {
    let mut story = Story::new();
    story.take(with(None), &[]);
    let mut new = samples::patch("lp_new");
    new.replace = Some(true);
    let next = samples::snapshot(vec![new]);
    let news = story.take(next, &[samples::past("lp_new", Outcome::Completed)]);
    let told = messages(&news);
    assert!(
        told.contains(&"lp_fix is no longer enabled: lp_new replaces it."),
        "{told:?}"
    );
}

#[test]
fn stops_and_lost_events_are_told_once() {
    let mut story = Story::new();
    let stop = |ms: f64| LastStop {
        at: now() + SignedDuration::from_millis(1000),
        engine: None,
        function: Some("take_cpu_down".to_owned()),
        module: None,
        stopped_ms: ms,
        held_ms: ms,
        cpus: 2,
        cpus_of: Some(2),
    };
    let state = |stops: Vec<LastStop>, lost| {
        let mut snapshot = samples::snapshot(Vec::new());
        snapshot.stops = Some(Stops {
            counted_since: now(),
            engines: Vec::new(),
            last: stops,
            records_lost: 0,
        });
        snapshot.events_lost = lost;
        snapshot
    };
    story.take(state(Vec::new(), 0), &[]);
    let news = story.take(state(vec![stop(3.0)], 0), &[]);
    assert_eq!(only(&news).details.stopped_ms, Some(3.0));
    let news = story.take(state(vec![stop(4.0), stop(3.0)], 7), &[]);
    let told = kinds(&news);
    assert_eq!(told, [EntryKind::EventsLost, EntryKind::MachineStopped]);
    assert_eq!(news.entries[0].details.lost, Some(7));
    assert!(
        story
            .take(state(vec![stop(4.0), stop(3.0)], 7), &[])
            .is_empty()
    );
}

#[test]
fn what_happened_before_is_for_the_history_to_judge() {
    let mut journal = Journal::new(Some("boot".to_owned()));
    let mut snapshot = samples::stalled();
    snapshot.last_transitions.push(samples::refused());
    let news = journal.take(&Arc::new(snapshot), &[], &super::samples::moment());
    assert_eq!(
        kinds(&news),
        [EntryKind::WatchBegan, EntryKind::TransitionFound]
    );
    assert!(news.records.is_empty());
    let earlier: Vec<_> = news
        .earlier
        .iter()
        .map(|record| record.transition.outcome)
        .collect();
    assert_eq!(
        earlier,
        [Outcome::Refused, Outcome::Completed],
        "oldest first"
    );
    assert!(news.earlier.iter().all(|record| record.reconstructed));
    let entry = news.earlier[1].entry();
    assert!((entry.boot_seconds - 99_400.0).abs() < 0.01, "{entry:?}");
    assert!(
        entry.message.ends_with("the kernel log reports it."),
        "{entry:?}"
    );
}
