//! Joining, naming and summing up.

use std::time::Duration;

use super::*;
use crate::model::{Outcome, samples, snapshot::PastTransition};

const MS: u64 = 1000;

fn span(cpu: u32, begun: u64, ended: u64) -> CpuStop {
    CpuStop {
        stop: 0xa000,
        function: 0xf000,
        cpu,
        cpus: 2,
        begun: Duration::from_micros(begun),
        ended: Duration::from_micros(ended),
    }
}

#[test]
fn the_cpus_of_a_stop_are_joined() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.add(&span(0, 100, 30_300)), None);
    let other = CpuStop {
        stop: 0xb000,
        ..span(1, 200, 30_250)
    };
    assert_eq!(joiner.add(&other), None);
    let joined = joiner.add(&span(1, 200, 30_250)).unwrap();
    assert_eq!(joined.stopped(), Duration::from_micros(30_050));
    assert_eq!(joined.held(), Duration::from_micros(30_200));
    assert_eq!((joined.cpus, joined.cpus_of), (2, 2));
}

#[test]
fn stops_at_the_same_address_one_after_the_other_are_two() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.add(&span(0, 100, 200)), None);
    assert_eq!(joiner.add(&span(0, 300, 400)), None);
    assert!(joiner.add(&span(1, 110, 210)).is_some());
    assert!(joiner.add(&span(1, 310, 410)).is_some());
    assert_eq!(joiner.wait(), None);
}

#[test]
fn a_cpu_that_went_offline_makes_no_stop_of_its_own() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.add(&span(0, 100, 200)), None);
    assert!(joiner.wait().is_some());
    assert!(joiner.overdue(Duration::from_millis(500)).is_empty());
    let given_up = joiner.overdue(Duration::from_secs(2));
    assert_eq!((given_up.len(), given_up[0].cpus), (1, 1));
    assert_eq!(joiner.add(&span(1, 110, 60_000_000)), None);
    assert!(joiner.overdue(Duration::from_secs(90)).is_empty());
}

#[test]
fn functions_are_of_systems() {
    let of = |function, module| engine_of(Some(function), module);
    assert_eq!(
        of("kpatch_apply_patch", Some("abi_kpatch")),
        Some(EngineKind::Kpatch)
    );
    assert_eq!(of("anything", Some("kpatch")), Some(EngineKind::Kpatch));
    assert_eq!(
        of("__apply_patches", Some("ksplice_x1")),
        Some(EngineKind::Ksplice)
    );
    assert_eq!(
        of("klp_try_enable_patch", None),
        Some(EngineKind::Openeuler)
    );
    assert_eq!(of("take_cpu_down", None), None);
    assert_eq!(of("klp_like", Some("other")), None);
    assert_eq!(engine_of(None, None), None);
}

fn moment(micros: u64) -> Moment {
    Moment {
        boot: Duration::from_micros(micros),
        wall: samples::now() + Duration::from_micros(micros),
    }
}

fn stop(function: &str, at: u64, took: u64) -> Stop {
    let mut joiner = Joiner::default();
    joiner.add(&span(0, at, at + took));
    Stop {
        at: moment(at),
        joined: joiner.add(&span(1, at, at + took)).unwrap(),
        function: Some(function.to_owned()),
        module: None,
    }
}

fn past(engine: EngineKind, started: Option<u64>, ended: u64) -> PastTransition {
    PastTransition {
        engine: Some(engine),
        started_at: started.map(|at| moment(at).wall),
        ended_at: moment(ended).wall,
        ..samples::past("p", Outcome::Completed)
    }
}

#[test]
fn nothing_is_said_where_nothing_is_hooked() {
    let mut tracker = StopTracker::default();
    assert_eq!(tracker.shown(), None);
    assert_eq!(
        tracker.during(&past(EngineKind::Livepatch, Some(0), MS)),
        None
    );
}

#[test]
fn sums_are_by_system() {
    let mut tracker = StopTracker::default();
    tracker.begin(moment(0));
    let none = tracker.shown().unwrap();
    assert_eq!((none.engines.len(), none.engines[0].times), (1, 0));
    tracker.note(stop("kpatch_apply_patch", 10 * MS, 30 * MS));
    tracker.note(stop("kpatch_remove_patch", 90 * MS, 2000 * MS));
    tracker.note(stop("take_cpu_down", 3000 * MS, MS));
    let stops = tracker.shown().unwrap();
    let kpatch = &stops.engines[1];
    assert_eq!((kpatch.engine, kpatch.times), (Some(EngineKind::Kpatch), 2));
    assert_eq!(kpatch.buckets, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert!((kpatch.longest_ms - 2000.0).abs() < 0.001);
    assert_eq!(stops.last[0].function.as_deref(), Some("take_cpu_down"));
}

#[test]
fn transitions_have_their_stops() {
    let mut tracker = StopTracker::default();
    tracker.begin(moment(0));
    tracker.note(stop("kpatch_apply_patch", 20 * MS, 30 * MS));
    // A live patch came meanwhile.
    let live = tracker.during(&past(EngineKind::Livepatch, Some(10 * MS), 99 * MS));
    assert_eq!(live, Some(Stopped::default()));
    let kpatch = tracker
        .during(&past(EngineKind::Kpatch, None, 500 * MS))
        .unwrap();
    assert_eq!((kpatch.times, kpatch.functions.len()), (1, 1));
    // Only this one was reported.
    assert_eq!(
        tracker.during(&past(EngineKind::Kpatch, None, 600 * MS)),
        None
    );
    tracker.note(stop("take_cpu_down", 700 * MS, MS));
    let live = tracker.during(&past(EngineKind::Livepatch, Some(600 * MS), 800 * MS));
    assert_eq!(live.unwrap().times, 1);
}
