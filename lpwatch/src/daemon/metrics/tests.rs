//! The text that Prometheus reads.

use super::*;
use crate::model::{
    Direction, ObservedFact, Outcome as Ending, samples,
    snapshot::{PastTransition, Probe},
};

fn text(snapshot: &Snapshot) -> String {
    render(snapshot, &Totals::default()).unwrap()
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        let found = text.lines().any(|there| there == *line);
        assert!(found, "no {line} in:\n{text}");
    }
}

fn past(direction: Option<Direction>, outcome: Ending, seconds: Option<f64>) -> PastTransition {
    PastTransition {
        direction,
        outcome,
        duration_seconds: seconds,
        ..samples::past("p", outcome)
    }
}

#[test]
fn a_stalled_transition_is_seen() {
    has(
        &text(&samples::stalled()),
        &[
            "lpwatch_transition_stalled{patch=\"lp_stall\"} 1",
            "lpwatch_transition_in_progress{direction=\"patching\",patch=\"lp_stall\"} 1",
            "# TYPE lpwatch_events_lost_total counter",
            "lpwatch_host_info{kernel=\"6.12.43+deb13-amd64\",source=\"bpf\"} 1",
        ],
    );
}

#[test]
fn a_history_that_is_not_written_is_seen() {
    let text = |is_written| {
        let snapshot = samples::snapshot(Vec::new());
        render_all(&snapshot, &Totals::default(), is_written).unwrap()
    };
    has(&text(Some(false)), &["lpwatch_history_written 0"]);
    has(&text(Some(true)), &["lpwatch_history_written 1"]);
    assert!(!text(None).contains("lpwatch_history"));
}

#[test]
fn times_come_from_the_host() {
    let progressing = text(&samples::progressing());
    has(
        &progressing,
        &[
            "lpwatch_transition_age_seconds{patch=\"lp_easy\"} 4.2",
            "lpwatch_transition_seconds_without_progress{patch=\"lp_easy\"} 0.8",
            "lpwatch_transition_tasks{code=\"old\",patch=\"lp_easy\"} 57",
            "lpwatch_transition_tasks{code=\"new\",patch=\"lp_easy\"} 41",
        ],
    );
}

#[test]
fn what_is_not_known_is_absent() {
    let text = text(&samples::snapshot(vec![samples::patch("p")]));
    has(&text, &["lpwatch_patch_enabled{patch=\"p\"} 1"]);
    assert!(!text.contains("lpwatch_function"), "{text}");
    assert!(!text.contains("lpwatch_transition_"), "{text}");
    assert!(!text.contains("lpwatch_last_transition_"), "{text}");
    let mut unclear = samples::patch("p");
    unclear.enabled = None;
    let text = self::text(&samples::snapshot(vec![unclear]));
    assert!(!text.contains("lpwatch_patch_enabled{"), "{text}");
}

#[test]
fn a_refused_module_is_named_with_its_patch() {
    let mut snapshot = samples::snapshot(vec![samples::patch("p")]);
    assert!(!text(&snapshot).contains("lpwatch_patch_module_refused"));
    let object = samples::refusing("nfsd");
    snapshot.patches[0].objects.push(object);
    let line = "lpwatch_patch_module_refused{object=\"nfsd\",patch=\"p\"} 1";
    has(&text(&snapshot), &[line]);
}

#[test]
fn odd_names_are_escaped() {
    let text = text(&samples::snapshot(vec![samples::patch("a\"b\nc")]));
    assert!(text.contains(r#"patch="a\"b\nc""#), "{text}");
}

#[test]
fn a_collector_that_is_missing_says_so() {
    let probe = |fact, attached| Probe {
        fact,
        kind: "fentry".to_owned(),
        target: String::new(),
        attached,
        note: None,
    };
    let mut snapshot = samples::snapshot(vec![samples::patch("p")]);
    snapshot.probes = vec![
        probe(ObservedFact::Begun, true),
        probe(ObservedFact::Complete, true),
        probe(ObservedFact::Tasks, true),
        probe(ObservedFact::Log, false),
    ];
    let line = |collector: &str, is: u8| {
        format!("lpwatch_collector_success{{collector=\"{collector}\"}} {is}")
    };
    let first = text(&snapshot);
    for (collector, is) in [
        ("hooks", 1),
        ("calls", 1),
        ("tasks", 1),
        ("kernel_log", 0),
        ("sysfs", 1),
    ] {
        has(&first, &[&line(collector, is)]);
    }
    let function = &mut snapshot.patches[0].objects[0].functions[0];
    function.not_counted = Some("it is inlined".to_owned());
    has(&text(&snapshot), &[&line("hooks", 1), &line("calls", 0)]);
    snapshot.probes[1].attached = false;
    has(&text(&snapshot), &[&line("hooks", 0), &line("calls", 0)]);
}

#[test]
fn the_last_transition_of_each_patch_is_shown() {
    let mut snapshot = samples::snapshot(Vec::new());
    let mut refused = past(None, Ending::Refused, None);
    refused.patch = Some("bad".to_owned());
    let mut nameless = past(None, Ending::Refused, None);
    nameless.patch = None;
    let patching = Some(Direction::Patching);
    snapshot.last_transitions = vec![
        past(patching, Ending::Completed, Some(2.5)),
        refused,
        nameless,
        past(patching, Ending::Reversed, Some(70.0)),
    ];
    let text = text(&snapshot);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("lpwatch_last_transition_duration"))
        .collect();
    assert_eq!(
        lines,
        [
            "lpwatch_last_transition_duration_seconds{direction=\"patching\",outcome=\"completed\",\
             patch=\"p\"} 2.5"
        ]
    );
    let ended = "lpwatch_last_transition_end_timestamp_seconds{";
    assert_eq!(text.matches(ended).count(), 2, "{text}");
    let bad = "direction=\"unknown\",outcome=\"refused\",patch=\"bad\"} ";
    assert!(text.contains(bad), "{text}");
}

#[test]
fn totals_count_each_ending_once() {
    let mut totals = Totals::default();
    let snapshot = samples::snapshot(Vec::new());
    let patching = Some(Direction::Patching);
    let empty = render(&snapshot, &totals).unwrap();
    has(
        &empty,
        &[
            "lpwatch_transitions_total{direction=\"patching\",outcome=\"completed\"} 0",
            "lpwatch_transitions_total{direction=\"unknown\",outcome=\"refused\"} 0",
        ],
    );
    totals.note(&past(patching, Ending::Completed, Some(2.0)));
    totals.note(&past(patching, Ending::Completed, Some(20_000.0)));
    totals.note(&past(patching, Ending::Completed, None));
    totals.note(&past(None, Ending::Refused, None));
    let text = render(&snapshot, &totals).unwrap();
    let bucket = |le: &str, number: u64| {
        format!(
            "lpwatch_transition_duration_seconds_bucket{{direction=\"patching\",\
             outcome=\"completed\",le=\"{le}\"}} {number}"
        )
    };
    has(
        &text,
        &[
            "lpwatch_transitions_total{direction=\"patching\",outcome=\"completed\"} 3",
            "lpwatch_transitions_total{direction=\"unknown\",outcome=\"refused\"} 1",
            "# TYPE lpwatch_transition_duration_seconds histogram",
            &bucket("1", 0),
            &bucket("2", 1),
            &bucket("14400", 1),
            &bucket("+Inf", 2),
            "lpwatch_transition_duration_seconds_sum{direction=\"patching\",outcome=\"completed\"} 20002",
            "lpwatch_transition_duration_seconds_count{direction=\"patching\",outcome=\"completed\"} 2",
        ],
    );
}
