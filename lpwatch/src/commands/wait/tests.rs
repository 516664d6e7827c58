use clap::Parser as _;

use jiff::SignedDuration;

use super::*;
use crate::model::{Direction, Outcome, samples, snapshot::PastTransition};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    globals: Globals,
    #[command(flatten)]
    args: Args,
}

/// What `wait` says of this state at once: line, exit code, document.
fn told(words: &[&str], snapshot: &Snapshot) -> anyhow::Result<(String, u8, WaitReport)> {
    let line = Line::parse_from([&["wait"], words].concat());
    let output = Printer::new(&line.globals);
    let wanted = line.args.wanted(&line.globals, &output);
    let asked = line.args.patches.first().map(String::as_str);
    let mut wait = TransitionWait::new(asked, &wanted);
    let report = wait.judge(&Arc::new(snapshot.clone()))?.expect("it waits");
    Ok((report.line.clone(), report.exit as u8, report))
}

/// `lp_easy` is enabled, `lp_stall` in transition.
fn stalled() -> Snapshot {
    let mut snapshot = samples::stalled();
    snapshot.last_transitions.clear();
    snapshot
}

#[test]
fn a_patch_is_told_from_another_in_transition() {
    let (line, exit, report) = told(&["lp_easy"], &stalled()).unwrap();
    assert_eq!(
        line,
        "lp_easy: enabled, not in transition; lp_stall is in transition."
    );
    assert_eq!(
        (exit, report.result, report.enabled),
        (0, "nothing", Some(true))
    );
    assert_eq!(report.also_in_transition, ["lp_stall"]);

    let mut disabled = stalled();
    disabled.patches[0].enabled = Some(false);
    let (line, ..) = told(&["lp_easy"], &disabled).unwrap();
    assert!(
        line.starts_with("lp_easy: disabled, not in transition;"),
        "{line}"
    );

    let error = told(&["lp_none"], &stalled()).unwrap_err().to_string();
    assert!(
        error.starts_with("no live patch named `lp_none` is loaded; lp_stall is in transition."),
        "{error}"
    );
}

#[test]
fn its_own_last_transition_is_told_beside_the_other() {
    let (line, exit, _) = told(&["lp_easy"], &samples::stalled()).unwrap();
    assert_eq!(
        line,
        "lp_easy: patching completed after 1.2 s (98 tasks, 2 tries); now enabled; lp_stall is \
         in transition."
    );
    assert_eq!(exit, 0);
    // It was disabled since, and nobody saw it.
    let mut changed = samples::stalled();
    changed.patches[0].enabled = Some(false);
    let (line, ..) = told(&["lp_easy"], &changed).unwrap();
    assert!(
        line.starts_with("lp_easy: disabled, not in transition;"),
        "{line}"
    );
}

#[test]
fn a_wait_that_comes_too_late_tells_what_ended_just_now() {
    let mut snapshot = samples::snapshot(vec![samples::patch("lp_easy")]);
    let ended = |outcome, ago: i64| PastTransition {
        ended_at: samples::now() - SignedDuration::from_secs(ago),
        ..samples::past("lp_easy", outcome)
    };
    for (outcome, exit) in [
        (Outcome::Completed, 0),
        (Outcome::Forced, 0),
        (Outcome::Reversed, 12),
        (Outcome::Cancelled, 12),
        (Outcome::Refused, 12),
    ] {
        snapshot.last_transitions = vec![ended(outcome, 3)];
        let (line, code, report) = told(&[], &snapshot).unwrap();
        assert!(line.starts_with("lp_easy: "), "{line}");
        assert_eq!((code, report.result), (exit, outcome.name()));
        assert_eq!(report.patch.as_deref(), Some("lp_easy"));
    }
    snapshot.last_transitions = vec![ended(Outcome::Reversed, 60)];
    let (line, code, _) = told(&[], &snapshot).unwrap();
    assert_eq!((line.as_str(), code), ("Nothing is in transition.", 0));
}

#[test]
fn json_knows_what_is_left_and_what_to_do() {
    let (line, exit, report) = told(&["lp_stall", "--stall-after", "1s"], &stalled()).unwrap();
    assert_eq!((exit, report.result), (11, "stalled"));
    let unfinished = report.unfinished.as_ref().expect("it goes on");
    let numbers = (
        unfinished.transition.tasks_remaining,
        unfinished.transition.tasks_total,
    );
    let (Some(left), Some(total)) = numbers else {
        panic!("{numbers:?}");
    };
    assert!(
        line.contains(&format!("{left} of {total} tasks left")),
        "{line}"
    );
    assert!(!unfinished.blockers.is_empty() && !unfinished.by_reason.is_empty());
    assert!(
        unfinished.next[0].ends_with("\nlpwatch tasks lp_stall"),
        "{:?}",
        unfinished.next
    );
    let snapshot = stalled();
    let before = || unreachable!("there is a snapshot");
    let document = WaitDocument::of(Some(&snapshot), before, &report);
    let document = serde_json::to_value(&document).unwrap();
    for key in ["host", "kernel", "source", "patch", "blockers", "next"] {
        assert!(!document[key].is_null(), "{key}: {document}");
    }
    for key in ["direction", "phase", "tasks_remaining"] {
        assert!(!document["transition"][key].is_null(), "{key}: {document}");
    }
    assert!(document["last_transition"].is_null());
    let (.., over) = told(&["lp_easy"], &stalled()).unwrap();
    assert!(over.unfinished.is_none());
}

/// The reports of one wait for these states, one after another.
fn course(words: &[&str], snapshots: &[Snapshot]) -> Vec<Option<(String, u8, &'static str)>> {
    let line = Line::parse_from([&["wait"], words].concat());
    let output = Printer::new(&line.globals);
    let wanted = line.args.wanted(&line.globals, &output);
    let asked = line.args.patches.first().map(String::as_str);
    let mut wait = TransitionWait::new(asked, &wanted);
    let judged = snapshots.iter().map(|snapshot| {
        let report = wait.judge(&Arc::new(snapshot.clone())).unwrap();
        report.map(|report| (report.line, report.exit as u8, report.result))
    });
    judged.collect()
}

fn ended(name: &str, outcome: Outcome, after: i64) -> PastTransition {
    PastTransition {
        ended_at: samples::now() + SignedDuration::from_secs(after),
        ..samples::past(name, outcome)
    }
}

#[test]
fn a_patch_that_is_not_loaded_yet_is_waited_for() {
    let nothing = samples::snapshot(Vec::new());
    // It failed before, and that is not what is waited for.
    let mut failed_before = nothing.clone();
    failed_before.last_transitions = vec![ended("lp_easy", Outcome::Refused, -5)];
    let mut done = samples::snapshot(vec![samples::patch("lp_easy")]);
    done.last_transitions = vec![ended("lp_easy", Outcome::Completed, 9)];
    for words in [
        &["lp-easy", "--or-appear", "1m"][..],
        &["--or-appear", "1m"],
    ] {
        let all = [
            failed_before.clone(),
            failed_before.clone(),
            samples::progressing(),
            done.clone(),
        ];
        let reports = course(words, &all);
        assert!(reports[..3].iter().all(Option::is_none), "{reports:?}");
        let (_, exit, result) = reports[3].clone().unwrap();
        assert_eq!((exit, result), (0, "completed"), "{words:?}");
        // It ended between two looks, or was refused and is not there.
        let reports = course(words, &[nothing.clone(), done.clone()]);
        assert_eq!(reports[1].as_ref().unwrap().2, "completed", "{words:?}");
        let mut refused = failed_before.clone();
        let newest = ended("lp_easy", Outcome::Refused, 1);
        refused.last_transitions.insert(0, newest);
        let reports = course(words, &[failed_before.clone(), refused]);
        let (_, exit, result) = reports[1].clone().unwrap();
        assert_eq!((exit, result), (12, "refused"), "{words:?}");
    }
    // A patch that is there is not waited for.
    let reports = course(&["lp_easy", "--or-appear", "1m"], &[done]);
    assert!(reports[0].is_some());
}

#[test]
fn what_does_not_appear_is_a_timeout() {
    for (words, expected) in [
        (
            &["lp_x", "--or-appear", "1m"][..],
            "lp_x: not loaded after 60s.",
        ),
        (&["--or-appear", "1m"], "Nothing was in transition for 60s."),
    ] {
        let line = Line::parse_from([&["wait"], words].concat());
        let output = Printer::new(&line.globals);
        let wanted = line.args.wanted(&line.globals, &output);
        let asked = line.args.patches.first().map(String::as_str);
        let time = line.args.or_appear.unwrap();
        let mut wait = TransitionWait::new(asked, &wanted);
        let nothing = Arc::new(samples::snapshot(Vec::new()));
        assert!(wait.judge(&nothing).unwrap().is_none());
        let report = wait.give_up_appearance(time).unwrap();
        assert_eq!(
            (report.line.as_str(), report.exit),
            (expected, Exit::TimedOut)
        );
        // One that has appeared is waited for without this limit.
        let mut wait = TransitionWait::new(None, &wanted);
        assert!(
            wait.judge(&Arc::new(samples::progressing()))
                .unwrap()
                .is_none()
        );
        assert!(wait.give_up_appearance(time).is_none());
        // The limit of the whole can be shorter.
        let mut wait = TransitionWait::new(asked, &wanted);
        assert!(wait.judge(&nothing).unwrap().is_none());
        assert_eq!(wait.timed_out(time).line, expected);
    }
}

fn left(tasks: u32, direction: Direction) -> Snapshot {
    let mut snapshot = samples::progressing();
    let transition = snapshot.patches[0].transition.as_mut().unwrap();
    transition.tasks_remaining = Some(tasks);
    transition.direction = direction;
    snapshot
}

#[test]
fn progress_is_a_task_that_switches() {
    let all = [
        left(5, Direction::Patching),
        left(5, Direction::Patching),
        // Reversed: more tasks are left now.
        left(90, Direction::Unpatching),
        left(90, Direction::Unpatching),
        left(89, Direction::Unpatching),
    ];
    let reports = course(&["--for", "progress"], &all);
    assert!(reports[..4].iter().all(Option::is_none), "{reports:?}");
    let (line, exit, result) = reports[4].clone().unwrap();
    assert_eq!((exit, result), (0, "progress"));
    assert!(
        line.starts_with("lp_easy: progresses while unpatching; 89 of 98"),
        "{line}"
    );
    // Without that goal it goes on.
    let reports = course(&[], &all);
    assert!(reports.iter().all(Option::is_none), "{reports:?}");
}

#[test]
fn a_stall_ends_a_wait_for_it() {
    let reports = course(&["lp_stall", "--for", "stalled"], &[stalled()]);
    let (_, exit, result) = reports[0].clone().unwrap();
    assert_eq!((exit, result), (11, "stalled"));
    assert!(course(&["lp_stall"], &[stalled()])[0].is_none());
}

#[test]
fn without_calls_nothing_is_known_of_the_effect() {
    let words = ["lp_easy", "--for", "effective"];
    let mut done = samples::snapshot(vec![samples::patch("lp_easy")]);
    done.last_transitions = vec![ended("lp_easy", Outcome::Completed, -1)];
    let reports = course(&words, &[samples::progressing(), done]);
    assert!(reports.iter().all(Option::is_none), "{reports:?}");
    let reports = course(&["--for", "effective"], &[samples::snapshot(Vec::new())]);
    let (line, exit, _) = reports[0].clone().unwrap();
    assert_eq!((line.as_str(), exit), ("Nothing is in transition.", 15));
    // A reversed one has no effect to wait for.
    let mut reversed = samples::snapshot(Vec::new());
    reversed.last_transitions = vec![ended("lp_easy", Outcome::Reversed, 1)];
    let reports = course(&words, &[samples::progressing(), reversed]);
    assert_eq!(reports[1].as_ref().unwrap().1, 12);
}

#[test]
fn a_patch_that_was_replaced_has_not_ended_well_just_now() {
    let mut all = samples::patch("lp_all");
    all.replace = Some(true);
    let mut snapshot = samples::snapshot(vec![all]);
    snapshot.last_transitions = vec![
        ended("lp_all", Outcome::Completed, -1),
        ended("lp_two", Outcome::Completed, -3),
    ];
    for goal in ["completed", "effective"] {
        let error = told(&["lp_two", "--for", goal], &snapshot).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`lp_two` is loaded: lp_all has replaced it. Its last"),
            "{text}"
        );
        let error = error.downcast::<crate::error::Error>().unwrap();
        assert_eq!(Exit::from(&error), Exit::Error);
    }
    // Its unpatching completed, which removed it.
    let mut removed = snapshot.clone();
    removed.last_transitions[1].direction = Some(Direction::Unpatching);
    let (line, exit, _) = told(&["lp_two"], &removed).unwrap();
    assert!(line.starts_with("lp_two: unpatching completed"), "{line}");
    assert_eq!(exit, 0);
    // Without a known cause the end of its patching does not count either.
    for outcome in [Outcome::Completed, Outcome::Unknown] {
        let mut gone = samples::snapshot(Vec::new());
        gone.last_transitions = vec![ended("lp_two", outcome, -3)];
        assert!(told(&["lp_two"], &gone).is_err(), "{outcome:?}");
    }
    // It was enabled while this was waited for, and replaced before a call.
    let mut moving = left(3, Direction::Patching);
    moving.patches[0].name = "lp_two".to_owned();
    let reports = course(
        &["lp_two", "--for", "effective"],
        &[moving.clone(), snapshot.clone()],
    );
    let (line, exit, result) = reports[1].clone().unwrap();
    assert!(
        line.ends_with("; lp_all has replaced it, so whether its new code runs cannot be known."),
        "{line}"
    );
    assert_eq!((exit, result), (15, "not_proved"));
    let reports = course(&["lp_two"], &[moving, snapshot]);
    assert_eq!(reports[1].as_ref().unwrap().1, 0, "{reports:?}");
}

#[test]
fn what_ended_before_does_not_count_for_a_patch_that_may_appear() {
    let mut done = samples::snapshot(vec![samples::patch("lp_easy")]);
    done.last_transitions = vec![ended("lp_easy", Outcome::Completed, -5)];
    let (line, exit, report) = told(&["lp_easy", "--or-appear", "2"], &done).unwrap();
    assert_eq!(line, "lp_easy: enabled, not in transition.");
    assert_eq!((exit, report.result), (0, "nothing"));
    let (line, ..) = told(&["lp_easy"], &done).unwrap();
    assert!(line.starts_with("lp_easy: patching completed"), "{line}");
}

#[test]
fn a_stall_that_only_the_age_tells_is_told_as_that() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.seconds_without_progress = None;
    transition.tasks_remaining = None;
    let (line, exit, _) = told(&["lp_stall", "--for", "stalled"], &snapshot).unwrap();
    assert_eq!(
        line,
        "lp_stall: stalled while patching: it has not ended for 130 s, and whether tasks switch \
         is unknown."
    );
    assert_eq!(exit, 11);
}

#[test]
fn a_wait_knows_when_it_cannot_see_what_it_waits_for() {
    let mut snapshot = samples::progressing();
    snapshot.patches[0]
        .transition
        .as_mut()
        .unwrap()
        .tasks_remaining = None;
    let snapshot = Arc::new(snapshot);
    for (words, expected) in [
        (&["--for", "stalled"][..], true),
        (&["--stall-after", "3"], true),
        (&["--for", "progress"], true),
        (&[], false),
    ] {
        let line = Line::parse_from([&["wait"], words].concat());
        let output = Printer::new(&line.globals);
        let wanted = line.args.wanted(&line.globals, &output);
        let mut wait = TransitionWait::new(None, &wanted);
        assert!(wait.judge(&snapshot).unwrap().is_none());
        assert_eq!(wait.is_blind(&snapshot), expected, "{words:?}");
        assert!(!wait.is_blind(&samples::progressing()));
    }
}
