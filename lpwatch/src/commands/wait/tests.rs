use clap::Parser as _;

use super::*;
use crate::model::samples;

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
    let mut wait = TransitionWait::new(&line.globals, &line.args, &output);
    let report = wait.judge(snapshot)?.expect("it waits");
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
