//! Sample snapshots for tests.

use jiff::{SignedDuration, Timestamp};

use super::{
    Blocker, Direction, EngineKind, ModuleRefusal, Outcome, Phase, Reason, Refusal,
    document::DocumentHead,
    snapshot::{Function, Object, PastTransition, Patch, Snapshot, Source, Transition, TrendPoint},
};

pub(crate) fn now() -> Timestamp {
    "2026-03-01T03:12:45Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub(crate) fn snapshot(patches: Vec<Patch>) -> Snapshot {
    Snapshot {
        head: DocumentHead::new(
            "web-17".to_owned(),
            "6.12.43+deb13-amd64".to_owned(),
            now(),
            Source::Bpf,
        ),
        daemon: true,
        thresholds: super::Thresholds::default(),
        probes: Vec::new(),
        notes: Vec::new(),
        events_lost: 0,
        patches,
        watched: Vec::new(),
        stops: None,
        last_transitions: Vec::new(),
    }
}

/// A module that the kernel refused to load twice.
pub(crate) fn refusing(name: &str) -> Object {
    Object {
        refusal: Some(ModuleRefusal {
            at: ago(5),
            errno: Some(22),
            cause: Some("symbol 'gone' not found in symbol table".to_owned()),
            times: 2,
        }),
        ..object(name, false, &["f"])
    }
}

pub(crate) fn object(name: &str, patched: bool, functions: &[&str]) -> Object {
    Object {
        name: name.to_owned(),
        patched: Some(patched),
        refusal: None,
        functions: functions
            .iter()
            .map(|&name| Function {
                name: name.to_owned(),
                sympos: 1,
                calls: None,
                not_counted: None,
            })
            .collect(),
    }
}

pub(crate) fn patch(name: &str) -> Patch {
    Patch {
        name: name.to_owned(),
        engine: EngineKind::Livepatch,
        enabled: Some(true),
        refusal: None,
        replace: Some(false),
        stack_order: None,
        objects: vec![object("vmlinux", true, &["cmdline_proc_show"])],
        transition: None,
        check: None,
    }
}

pub(crate) fn task(tid: u32, comm: &str, kthread: bool) -> Blocker {
    Blocker {
        tid,
        tgid: tid,
        comm: comm.to_owned(),
        kthread,
        kind: None,
        ns_tid: None,
        ns_tgid: None,
        state: None,
        kernel_check: None,
        reason: None,
        cause: None,
        function: None,
        program: None,
        vfork_child: None,
        since_seconds: Some(4.2),
        stack: Vec::new(),
        blocking_frame: None,
        advice: None,
    }
}

pub(crate) fn trend(points: &[(f64, u32)]) -> Vec<TrendPoint> {
    points
        .iter()
        .map(|&(seconds, remaining)| TrendPoint { seconds, remaining })
        .collect()
}

/// A transition in its first seconds: 57 of 98 tasks remain.
pub(crate) fn progressing() -> Snapshot {
    let mut patch = patch("lp_easy");
    patch.transition = Some(Transition {
        direction: Direction::Patching,
        started_at: Some(ago(4)),
        age_seconds: Some(4.2),
        tasks_total: Some(98),
        tasks_remaining: Some(57),
        tries: Some(4),
        signals: Some(0),
        tries_in_all: Some(4),
        signals_in_all: Some(0),
        phase: Some(Phase::Progressing),
        reversed: false,
        reversed_by: None,
        forced: false,
        forced_by: None,
        seconds_without_progress: Some(0.8),
        trend: trend(&[(0.0, 98), (1.0, 80), (2.0, 80), (3.4, 57)]),
        blockers: (0..57)
            .map(|nth| task(1200 + nth, "nginx", false))
            .collect(),
        waits_for: None,
        switched: None,
        next: Vec::new(),
    });
    snapshot(vec![patch])
}

/// A kernel thread that stays in the function to be patched.
pub(crate) fn stalled() -> Snapshot {
    let mut patch = patch("lp_stall");
    patch.objects = vec![object("lpwatch_target", true, &["target_main"])];
    let blocker = Blocker {
        since_seconds: Some(130.0),
        reason: Some(Reason::SleepingOnFunction),
        function: Some("target_main".to_owned()),
        ..task(139, "lpwatch_target", true)
    };
    patch.transition = Some(Transition {
        direction: Direction::Patching,
        started_at: Some(ago(130)),
        age_seconds: Some(130.0),
        tasks_total: Some(98),
        tasks_remaining: Some(1),
        tries: Some(130),
        signals: Some(8),
        tries_in_all: Some(130),
        signals_in_all: Some(8),
        phase: Some(Phase::Stalled),
        reversed: false,
        reversed_by: None,
        forced: false,
        forced_by: None,
        seconds_without_progress: Some(118.0),
        trend: trend(&[(0.0, 57), (3.0, 12), (10.0, 1), (60.0, 1), (128.0, 1)]),
        blockers: vec![blocker],
        waits_for: None,
        switched: None,
        next: vec![
            "The kernel's signal does not move a kernel thread that stays in a patched function."
                .to_owned(),
            "Reverse the transition, which disables the patch:\n\
             echo 0 > /sys/kernel/livepatch/lp_stall/enabled"
                .to_owned(),
        ],
    });
    let mut snapshot = snapshot(vec![self::patch("lp_easy"), patch]);
    snapshot.last_transitions = vec![past("lp_easy", Outcome::Completed)];
    snapshot
}

pub(crate) fn past(name: &str, outcome: Outcome) -> PastTransition {
    PastTransition {
        patch: Some(name.to_owned()),
        engine: Some(EngineKind::Livepatch),
        direction: Some(Direction::Patching),
        outcome,
        started_at: Some(ago(601)),
        ended_at: ago(600),
        duration_seconds: Some(1.26),
        refusal: None,
        tries: Some(2),
        signals: Some(0),
        tries_in_all: Some(2),
        signals_in_all: Some(0),
        tasks_total: Some(98),
        recorded_after_ms: Some(3.1),
        check: None,
        stopped: None,
        reversed_by: None,
        forced_by: None,
    }
}

pub(crate) fn refused() -> PastTransition {
    PastTransition {
        direction: None,
        started_at: None,
        duration_seconds: None,
        refusal: Some(Refusal {
            errno: Some(22),
            ..Refusal::because(Some("symbol 'nope' not found in symbol table".to_owned()))
        }),
        tries: None,
        signals: None,
        tries_in_all: None,
        signals_in_all: None,
        tasks_total: None,
        ..past("lp_refused", Outcome::Refused)
    }
}
