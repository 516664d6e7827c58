//! The state machine on plain values: each rule about progress, phases and
//! outcomes, and what happens when events are late, lost or told twice.

mod engines;
mod outcomes;
mod progress;
mod properties;
mod refusals;
mod reports;
mod waits;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Direction, EngineKind, Event, EventKind, EventSource, HostFacts, Input, Model, Moment,
    ObjectView, Outcome, PatchView, Phase, Reason, Snapshot, SystemView, Task, TaskKind,
    TaskSample, Thresholds,
    evidence::{Evidence, Traits},
    snapshot::{PastTransition, Source, Transition},
};

const PATCH: &str = "lp_test";

fn at(seconds: f64) -> Moment {
    let boot = Duration::from_secs_f64(seconds);
    let wall = Timestamp::from_second(1_800_000_000).unwrap() + boot;
    Moment { boot, wall }
}

fn model(hooks_since: Option<u64>) -> Model {
    let facts = HostFacts {
        host: "host".to_owned(),
        kernel: "6.12".to_owned(),
        source: Source::Bpf,
        daemon: true,
        probes: Vec::new(),
        notes: Vec::new(),
        traits: Traits {
            bpf_frames_reliable: false,
            verdicts: true,
            is_x86: true,
        },
        not_counted: None,
    };
    Model::new(facts, hooks_since.map(Duration::from_secs))
}

/// A model with hooks from the beginning, in which [`PATCH`] began at 100 s.
fn begun() -> Model {
    let mut model = model(Some(0));
    hook(&mut model, 100.0, begin(Direction::Patching));
    observe(&mut model, 100.1, &[patch(true, true)]);
    model
}

fn begin(direction: Direction) -> EventKind {
    EventKind::Begun {
        patch: PATCH.to_owned(),
        direction,
        replace: None,
        epoch: None,
    }
}

fn complete(direction: Direction, before: Option<u32>) -> EventKind {
    EventKind::Complete {
        patch: Some(PATCH.to_owned()),
        direction: Some(direction),
        before,
        epoch: None,
    }
}

fn tell(
    model: &mut Model,
    seconds: f64,
    source: EventSource,
    kind: EventKind,
) -> Vec<PastTransition> {
    let now = at(seconds);
    let at = now.boot;
    model.handle(Input::Event(Event { at, source, kind }), &now)
}

fn hook(model: &mut Model, seconds: f64, kind: EventKind) -> Vec<PastTransition> {
    tell(model, seconds, EventSource::Hook, kind)
}

fn log(model: &mut Model, seconds: f64, kind: EventKind) -> Vec<PastTransition> {
    tell(model, seconds, EventSource::Log, kind)
}

/// So many events were lost so far.
fn lose(model: &mut Model, seconds: f64, lost: u64) {
    model.handle(Input::EventsLost(lost), &at(seconds));
}

fn patch(enabled: bool, in_transition: bool) -> PatchView {
    PatchView {
        enabled: Some(enabled),
        in_transition,
        ..PatchView::new(PATCH.to_owned(), EngineKind::Livepatch)
    }
}

fn observe(model: &mut Model, seconds: f64, patches: &[PatchView]) -> Vec<PastTransition> {
    let now = at(seconds);
    let view = SystemView {
        read_at: now.boot,
        patches: patches.to_vec(),
        ..SystemView::default()
    };
    model.handle(Input::Reading(view), &now)
}

fn sample(model: &mut Model, seconds: f64, direction: Direction, left: std::ops::Range<u32>) {
    let now = at(seconds);
    let remaining = left.map(|tid| Task {
        tid,
        tgid: tid,
        comm: format!("task{tid}"),
        kind: TaskKind::User,
        evidence: Evidence::default(),
    });
    let sample = TaskSample {
        at: now.boot,
        direction,
        total: Some(100),
        remaining: remaining.collect(),
        unread: 0,
        switched: None,
    };
    take_tasks(model, seconds, EngineKind::Livepatch, sample);
}

fn take_tasks(model: &mut Model, seconds: f64, engine: EngineKind, sample: TaskSample) {
    model.handle(Input::Tasks { engine, sample }, &at(seconds));
}

fn snapshot(model: &Model, seconds: f64) -> Snapshot {
    model.snapshot(&at(seconds), &Thresholds::default())
}

fn transition(model: &Model, seconds: f64) -> Transition {
    snapshot(model, seconds).patches[0]
        .transition
        .clone()
        .unwrap()
}
