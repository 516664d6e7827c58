//! The order of tasks in a report, and when there is nothing to report.

use strum::IntoEnumIterator as _;

use super::*;
use crate::model::samples::{progressing, snapshot, stalled, task};

fn of(reason: Option<Reason>, tid: u32, kthread: bool, since: Option<f64>) -> Blocker {
    Blocker {
        reason,
        since_seconds: since,
        ..task(tid, "x", kthread)
    }
}

#[test]
fn the_worst_come_first_then_the_longest() {
    let blockers = [
        of(None, 1, false, Some(900.0)),
        of(Some(Reason::Pending), 2, false, None),
        of(Some(Reason::Idle), 3, true, None),
        of(Some(Reason::WaitingForSignal), 4, false, None),
        of(Some(Reason::SleepingOnFunction), 5, false, None),
        of(Some(Reason::Running), 6, false, None),
        of(Some(Reason::KvmVcpu), 7, false, None),
        of(Some(Reason::Uninterruptible), 8, false, None),
        of(Some(Reason::UnreliableStack), 12, false, Some(f64::NAN)),
        of(Some(Reason::UnreliableStack), 11, false, Some(1.0)),
        of(Some(Reason::UnreliableStack), 10, false, Some(2.0)),
        of(Some(Reason::UnreliableStack), 9, false, Some(2.0)),
        of(Some(Reason::NoUnwindData), 13, false, None),
        of(Some(Reason::SleepingOnFunction), 14, true, None),
    ];
    for reason in Reason::iter() {
        assert!(blockers.iter().any(|task| task.reason == Some(reason)));
    }
    let order: Vec<u32> = worst_first(&blockers).iter().map(|task| task.tid).collect();
    assert_eq!(order, [14, 13, 9, 10, 11, 12, 8, 7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn both_kinds_of_sleepers_count_as_one_reason() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.blockers = vec![
        of(None, 1, false, None),
        of(Some(Reason::SleepingOnFunction), 5, false, None),
        of(Some(Reason::SleepingOnFunction), 6, true, None),
    ];
    let report = TaskReport::of(&snapshot, None).unwrap();
    let counts: Vec<_> = report
        .by_reason
        .iter()
        .map(|count| (count.reason, count.count))
        .collect();
    assert_eq!(counts, [(Some(Reason::SleepingOnFunction), 2), (None, 1)]);
}

#[test]
fn only_the_transition_asked_for() {
    assert_eq!(TaskReport::of(&snapshot(Vec::new()), None), None);
    assert_eq!(TaskReport::of(&stalled(), Some("lp_easy")), None);
    let report = TaskReport::of(&stalled(), Some("lp_stall")).unwrap();
    assert_eq!(report.patch, "lp_stall");
    assert_eq!(report.task(139).unwrap().comm, "lpwatch_target");
    assert_eq!(report.task(140), None);
    assert_eq!(
        TaskReport::of(&progressing(), None).unwrap().blockers.len(),
        57
    );
}

#[test]
fn programs_get_the_task_with_its_transition() {
    let report = TaskReport::of(&stalled(), None).unwrap();
    let json = serde_json::to_value(report.document(&report.blockers[0])).unwrap();
    assert_eq!(json["patch"], "lp_stall");
    assert_eq!(json["transition"]["direction"], "patching");
    assert_eq!(json["task"]["tid"], 139);
    assert_eq!(json["task"]["reason"], "sleeping_on_function");
    assert!(json["task"]["program"].is_null());
}

#[test]
fn without_a_transition_the_document_has_the_same_keys() {
    let (still, moving) = (snapshot(Vec::new()), stalled());
    let report = TaskReport::of(&moving, None);
    let keys = |snapshot: &Snapshot, report: Option<&TaskReport>| -> Vec<String> {
        let json = serde_json::to_value(TasksDocument::of(snapshot, report)).unwrap();
        json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&still, None), keys(&moving, report.as_ref()));
    let nothing = serde_json::to_value(TasksDocument::of(&still, None)).unwrap();
    assert!(nothing["transition"].is_null() && nothing["patch"].is_null());
    assert_eq!(nothing["schema_version"], 2);
}

#[test]
fn a_transition_beside_it_is_told_of() {
    let mut snapshot = stalled();
    let mut other = snapshot.patches[1].clone();
    other.name = "kgr_fix".to_owned();
    other.engine = crate::model::EngineKind::Kgraft;
    snapshot.patches.push(other);
    let notes = |asked| TaskReport::of(&snapshot, asked).unwrap().notes;
    let told = |notes: &[String]| {
        notes
            .iter()
            .any(|note| note.contains("lpwatch tasks kgr_fix"))
    };
    assert!(told(&notes(None)), "{:?}", notes(None));
    assert!(!told(&notes(Some("lp_stall"))));
}
