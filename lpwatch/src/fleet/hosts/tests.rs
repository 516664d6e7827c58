//! Tests of every rule about a host's state.

use super::*;
use crate::fleet::{prometheus::Sample, queries::FleetQuery};

/// A fact, the labels of a sample of it, and its value.
type Given<'a> = (FleetQuery, &'a str, f64);

/// A sample: `host key=value …`.
fn sample(labels: &str, value: f64) -> Sample {
    let labels = labels.split(' ').map(|label| {
        let (name, value) = label.split_once('=').unwrap_or(("instance", label));
        (name.to_owned(), value.to_owned())
    });
    Sample {
        labels: labels.collect(),
        value,
    }
}

fn facts(samples: &[Given<'_>]) -> FleetFacts {
    let mut facts = FleetFacts::default();
    for (fact, labels, value) in samples {
        facts.take(*fact, &[sample(labels, *value)], "instance");
    }
    facts
}

/// A host `a` that reports, with these facts.
fn of_a(samples: &[Given<'_>]) -> FleetHost {
    let reports = [
        (FleetQuery::Up, "a", 1.0),
        (FleetQuery::Kernel, "a kernel=6.1", 1.0),
    ];
    let all: Vec<_> = reports.into_iter().chain(samples.iter().copied()).collect();
    let mut hosts = hosts(&facts(&all), |_| true);
    assert_eq!(hosts.len(), 1);
    hosts.remove(0)
}

const ENABLED: Given<'_> = (FleetQuery::Enabled, "a patch=p", 1.0);
const MOVING: Given<'_> = (FleetQuery::InProgress, "a patch=p direction=patching", 1.0);
const STALLED: Given<'_> = (FleetQuery::Stalled, "a patch=p", 1.0);

#[test]
fn each_state_has_its_signs() {
    assert_eq!(of_a(&[]).state, HostState::NotPatched);
    assert_eq!(of_a(&[ENABLED]).state, HostState::OnNewCode);
    assert_eq!(of_a(&[ENABLED, MOVING]).state, HostState::InTransition);
    assert_eq!(of_a(&[ENABLED, MOVING, STALLED]).state, HostState::Stalled);
    let disabled = (FleetQuery::Enabled, "a patch=p", 0.0);
    assert_eq!(of_a(&[disabled]).state, HostState::NotPatched);
    // On its way out it is not enabled, but in transition.
    let out = (
        FleetQuery::InProgress,
        "a patch=p direction=unpatching",
        1.0,
    );
    let host = of_a(&[disabled, out]);
    assert_eq!(host.state, HostState::InTransition);
    assert_eq!(host.direction, Some(Direction::Unpatching));
}

#[test]
fn a_failure_counts_while_the_patch_is_not_enabled() {
    for (outcome, state) in [
        ("reversed", HostState::Failed),
        ("refused", HostState::Failed),
        ("cancelled", HostState::Failed),
        ("completed", HostState::NotPatched),
        ("forced", HostState::NotPatched),
        ("unknown", HostState::NotPatched),
        ("novel", HostState::NotPatched),
    ] {
        let labels = format!("a patch=p direction=patching outcome={outcome}");
        let last = (FleetQuery::LastEnd, labels.as_str(), 100.0);
        assert_eq!(of_a(&[last]).state, state, "{outcome}");
        // A reversal of unpatching leaves it enabled.
        assert_eq!(of_a(&[ENABLED, last]).state, HostState::OnNewCode);
        assert_eq!(
            of_a(&[ENABLED, MOVING, last]).state,
            HostState::InTransition
        );
    }
}

#[test]
fn silence_is_never_fine() {
    let kernel = (FleetQuery::Kernel, "a kernel=6.1", 1.0);
    let up = (FleetQuery::Up, "a", 1.0);
    let nan = (FleetQuery::Enabled, "a patch=q", f64::NAN);
    let cases: [(&[Given<'_>], Option<Silence>); 9] = [
        (&[up, kernel], None),
        // Federated: no `up`, but its metrics are there.
        (&[kernel], None),
        (&[(FleetQuery::Up, "a", 0.0), kernel], Some(Silence::Down)),
        (&[(FleetQuery::Gone, "a", 1.0), kernel], Some(Silence::Gone)),
        (&[up], Some(Silence::NoMetrics)),
        (
            &[up, kernel, (FleetQuery::Blind, "a", 0.0)],
            Some(Silence::Blind),
        ),
        (&[up, kernel, nan], Some(Silence::Broken)),
        (
            &[up, kernel, (FleetQuery::Tasks, "a patch=p code=old", -1.0)],
            Some(Silence::Broken),
        ),
        (
            &[up, kernel, (FleetQuery::Age, "a patch=p", f64::INFINITY)],
            Some(Silence::Broken),
        ),
    ];
    for (given, silence) in cases {
        let all: Vec<_> = given.iter().copied().chain([ENABLED]).collect();
        let host = hosts(&facts(&all), |_| true).remove(0);
        assert_eq!(host.silence, silence, "{given:?}");
        let expected = match silence {
            Some(_) => (HostState::NotReporting, None),
            None => (HostState::OnNewCode, Some("p".to_owned())),
        };
        assert_eq!((host.state, host.patch), expected);
    }
}

#[test]
fn clocks_of_hosts_are_not_compared() {
    // Years apart, and before the epoch: the states are the same.
    for end in [-1e9, 0.0, 1.0, 4e9] {
        let last = |outcome| format!("a patch=p direction=patching outcome={outcome}");
        let (failed, done) = (last("reversed"), last("completed"));
        assert_eq!(
            of_a(&[(FleetQuery::LastEnd, &failed, end)]).state,
            HostState::Failed
        );
        let host = of_a(&[ENABLED, (FleetQuery::LastEnd, &done, end)]);
        assert_eq!(host.state, HostState::OnNewCode);
    }
}

#[test]
fn of_several_patches_the_latest_counts() {
    let other = (FleetQuery::Enabled, "a patch=q", 1.0);
    let last = |patch: &str, outcome: &str| format!("a patch={patch} outcome={outcome}");
    let (failed, done) = (last("p", "refused"), last("q", "completed"));
    let of = |failed_at, done_at| {
        let host = of_a(&[
            other,
            (FleetQuery::LastEnd, &failed, failed_at),
            (FleetQuery::LastEnd, &done, done_at),
        ]);
        (host.state, host.patch.unwrap())
    };
    assert_eq!(of(1.0, 2.0), (HostState::OnNewCode, "q".to_owned()));
    assert_eq!(of(2.0, 1.0), (HostState::Failed, "p".to_owned()));
    // When q came to rest is not known.
    let host = of_a(&[other, (FleetQuery::LastEnd, &failed, 1.0)]);
    assert_eq!(host.state, HostState::Failed);
    // A transition counts before all of them.
    let host = of_a(&[other, MOVING, (FleetQuery::LastEnd, &done, 9.0)]);
    assert_eq!(host.state, HostState::InTransition);
}

#[test]
fn details_are_of_the_transition_under_way() {
    let host = of_a(&[
        ENABLED,
        MOVING,
        (FleetQuery::Tasks, "a patch=p code=old", 3.0),
        (FleetQuery::Tasks, "a patch=p code=new", 95.0),
        (FleetQuery::Blocked, "a patch=p reason=idle", 1.0),
        (
            FleetQuery::Blocked,
            "a patch=p reason=sleeping_on_function",
            2.0,
        ),
        (FleetQuery::Blocked, "a patch=p reason=running", 0.0),
        (FleetQuery::Idle, "a patch=p", 70.5),
    ]);
    assert_eq!(
        (host.tasks_remaining, host.tasks_total),
        (Some(3), Some(98))
    );
    assert_eq!(host.seconds_without_progress, Some(70.5));
    let reasons: Vec<_> = host.reasons.iter().map(|of| of.reason.as_str()).collect();
    assert_eq!(reasons, ["sleeping_on_function", "idle"]);
    // Left over from it, they say nothing.
    let host = of_a(&[ENABLED, (FleetQuery::Tasks, "a patch=p code=old", 3.0)]);
    assert_eq!(host.tasks_remaining, None);
}

#[test]
fn what_names_no_host_is_reported() {
    let facts = facts(&[
        (FleetQuery::Up, "job=lpwatch", 1.0),
        (FleetQuery::Twice, "a", 2.0),
        (FleetQuery::Enabled, "b patch=p", f64::NAN),
    ]);
    assert_eq!(hosts(&facts, |_| true).len(), 1);
    let notes = facts.notes().join(" ");
    assert!(notes.contains("1 series name no host"), "{notes}");
    assert!(notes.contains("such as a."), "{notes}");
    assert!(notes.contains("such as b;"), "{notes}");
}
