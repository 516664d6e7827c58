//! Properties over any order of inputs: a snapshot contradicts nothing in it, and a
//! transition that has ended stays ended.

use proptest::{collection::vec, prelude::*};
use serde_json::Value;

use super::*;
use crate::model::{
    calls::{CallsReading, Counter, Entries, FunctionId, FunctionReading},
    event::Elsewhere,
    evidence::Frame,
    snapshot::SwitchedBy,
    waits::WaitSample,
};

static PATCHES: [&str; 2] = [PATCH, "lp_other"];
static ENGINES: [EngineKind; 3] = {
    use EngineKind::{Kgraft, Kpatch, Livepatch};
    [Livepatch, Kgraft, Kpatch]
};

/// The wall clock's time at boot.
const WALL: &str = "2027-01-15T08:00:00Z";

/// An input, and how far the clock goes on before it.
#[derive(Clone, Debug)]
struct Step {
    after_ms: u64,
    /// How long ago what it reports was.
    late_ms: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Event(EventSource, EventKind),
    Reading(Vec<PatchView>, Vec<EngineKind>),
    Tasks(EngineKind, TaskSample),
    Wait(Option<Task>),
    Calls(CallsReading),
    Lost(u64),
    HooksDisabled(bool),
    Hooks(bool),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&PATCHES[..]).prop_map(str::to_owned)
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![Direction::Patching, Direction::Unpatching])
}

fn source() -> impl Strategy<Value = EventSource> {
    prop::sample::select(vec![EventSource::Hook, EventSource::Log])
}

fn maybe<T: Clone + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.8, of)
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["cannot", "symbol not found"]).prop_map(str::to_owned)
}

/// What a hook or the log reports of a transition.
fn lifecycle() -> impl Strategy<Value = EventKind> {
    let epoch = || prop::option::of(0..8_u32);
    prop_oneof![
        4 => (name(), direction(), prop::option::of(any::<bool>()), epoch()).prop_map(
            |(patch, direction, replace, epoch)| EventKind::Begun { patch, direction, replace, epoch }
        ),
        4 => (maybe(name()), maybe(direction()), prop::option::of(0..40_u32)).prop_map(
            |(patch, direction, before)| EventKind::Try { patch, direction, before }
        ),
        4 => (maybe(name()), maybe(direction()), prop::option::of(0..40_u32), epoch()).prop_map(
            |(patch, direction, before, epoch)| {
                EventKind::Complete { patch, direction, before, epoch }
            }
        ),
        2 => maybe(name()).prop_map(|patch| EventKind::Reversed { patch, by: None }),
        1 => maybe(name()).prop_map(|patch| EventKind::Forced { patch, by: None }),
        1 => maybe(name()).prop_map(|patch| EventKind::Cancelled { patch }),
        1 => (name(), 1..100_u32).prop_map(|(patch, errno)| EventKind::Refused { patch, errno }),
    ]
}

fn event() -> impl Strategy<Value = EventKind> {
    let elsewhere = prop_oneof![
        (name(), direction()).prop_map(|(patch, direction)| Elsewhere::Begun { patch, direction }),
        Just(Elsewhere::Tried),
        Just(Elsewhere::Forced),
        (maybe(name()), text()).prop_map(|(patch, text)| Elsewhere::Refused { patch, text }),
        (1..9_u32, text()).prop_map(|(pid, comm)| Elsewhere::Holder { pid, comm }),
    ];
    prop_oneof![
        6 => lifecycle(),
        1 => Just(EventKind::Signaling),
        1 => (maybe(name()), text()).prop_map(|(patch, text)| EventKind::Complaint { patch, text }),
        1 => (name(), prop::option::of(1..100_u32), prop::option::of(text())).prop_map(
            |(patch, errno, cause)| {
                let object = "ext4".to_owned();
                EventKind::ObjectRefused { patch, object, errno, cause }
            }
        ),
        1 => (prop::sample::select(&ENGINES[1..]), elsewhere)
            .prop_map(|(engine, what)| EventKind::Elsewhere { engine, what }),
    ]
}

fn view() -> impl Strategy<Value = PatchView> {
    (
        name(),
        prop::sample::select(&ENGINES[..]),
        maybe(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(name, engine, enabled, in_transition, applied)| PatchView {
                enabled,
                in_transition,
                objects: vec![ObjectView {
                    name: "ext4".to_owned(),
                    patched: Some(applied),
                    functions: vec![("f".to_owned(), 1)],
                }],
                ..PatchView::new(name, engine)
            },
        )
}

fn task() -> impl Strategy<Value = Task> {
    let kinds = vec![TaskKind::User, TaskKind::Kthread, TaskKind::Kworker];
    let frames = vec![
        "klp_enable_patch",
        "klp_complete_transition",
        "pre",
        "f",
        "schedule",
    ];
    let stack = vec(prop::sample::select(frames), 0..4);
    (1..60_u32, prop::sample::select(kinds), stack).prop_map(|(tid, kind, stack)| Task {
        tid,
        tgid: tid,
        comm: "task".to_owned(),
        kind,
        evidence: Evidence {
            stack: stack
                .into_iter()
                .map(|symbol| Frame {
                    symbol: symbol.to_owned(),
                    offset: 1,
                    module: (symbol == "pre").then(|| PATCH.to_owned()),
                })
                .collect(),
            ..Evidence::default()
        },
    })
}

fn sample() -> impl Strategy<Value = TaskSample> {
    let switched = any::<[u8; 4]>().prop_map(|[a, b, c, d]| SwitchedBy {
        checked: a.into(),
        user_return: b.into(),
        idle: c.into(),
        forced: d.into(),
    });
    (
        direction(),
        prop::option::of(0..20_u32),
        vec(task(), 0..4),
        prop::option::weighted(0.1, 1..3_u32),
        prop::option::of(switched),
    )
        .prop_map(|(direction, more, mut remaining, unread, switched)| {
            // A pass shows each task once.
            remaining.sort_by_key(|task| task.tid);
            remaining.dedup_by_key(|task| task.tid);
            let left = u32::try_from(remaining.len()).unwrap();
            TaskSample {
                at: Duration::ZERO,
                direction,
                total: more.map(|more| more + left),
                remaining,
                unread: unread.unwrap_or(0),
                switched,
            }
        })
}

fn calls() -> impl Strategy<Value = CallsReading> {
    let counter = (any::<[u8; 3]>(), 0..3_u64).prop_map(|(counts, since)| {
        let mut calls = Box::new([0_u64; lpwatch_common::calls::BUCKETS]);
        for (bucket, count) in calls.iter_mut().zip(counts) {
            *bucket = count.into();
        }
        Counter::Counting {
            kind: "kprobe",
            since: Duration::from_secs(since),
            calls,
            missed: 0,
            missed_together: 0,
        }
    });
    (
        counter.clone(),
        prop::option::of(counter),
        0..8_u32,
        any::<bool>(),
    )
        .prop_map(|(counter, entries, epoch, ftrace_off)| CallsReading {
            at: Duration::ZERO,
            epoch,
            functions: vec![FunctionReading {
                id: FunctionId::new("ext4", "f", 1),
                asked: false,
                counter,
                entries: entries
                    .into_iter()
                    .map(|counter| Entries {
                        patch: PATCH.to_owned(),
                        function: "f".to_owned(),
                        before: 0,
                        counter,
                    })
                    .collect(),
                suspects: Vec::new(),
            }],
            ftrace_off,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        8 => (source(), event()).prop_map(|(source, kind)| What::Event(source, kind)),
        6 => (vec(view(), 0..3), prop::option::weighted(0.1, prop::sample::select(&ENGINES[..])))
            .prop_map(|(mut patches, unread)| {
                let key = |patch: &PatchView| (patch.engine, patch.name.clone());
                patches.sort_by_key(key);
                patches.dedup_by_key(|patch| key(patch));
                patches.retain(|patch| Some(patch.engine) != unread);
                What::Reading(patches, unread.into_iter().collect())
            }),
        6 => (prop::sample::select(&ENGINES[..]), sample())
            .prop_map(|(engine, sample)| What::Tasks(engine, sample)),
        2 => prop::option::of(task()).prop_map(What::Wait),
        1 => calls().prop_map(What::Calls),
        1 => (0..3_u64).prop_map(What::Lost),
        1 => any::<bool>().prop_map(What::HooksDisabled),
        1 => any::<bool>().prop_map(What::Hooks),
    ];
    let after = prop_oneof![0..20_u64, 500..3000_u64, 10_000..90_000_u64];
    let late = prop_oneof![4 => Just(0_u64), 2 => 0..500_u64, 1 => 0..20_000_u64];
    (after, late, what).prop_map(|(after_ms, late_ms, what)| Step {
        after_ms,
        late_ms,
        what,
    })
}

impl What {
    fn input(self, at: Duration) -> Input {
        match self {
            Self::Event(source, kind) => Input::Event(Event { at, source, kind }),
            Self::Reading(patches, unread) => Input::Reading(SystemView {
                read_at: at,
                patches,
                unread,
                ..SystemView::default()
            }),
            Self::Tasks(engine, sample) => Input::Tasks {
                engine,
                sample: TaskSample { at, ..sample },
            },
            Self::Wait(task) => Input::Wait(WaitSample {
                at,
                task,
                holders: Vec::new(),
            }),
            Self::Calls(reading) => Input::Calls(CallsReading { at, ..reading }),
            Self::Lost(lost) => Input::EventsLost(lost),
            Self::HooksDisabled(disabled) => Input::HooksDisabled(disabled),
            Self::Hooks(hooked) => Input::Bpf {
                source: Source::Bpf,
                verdicts: true,
                hooks_since: hooked.then_some(at),
                not_counted: None,
            },
        }
    }

    /// Whether it can show that a transition goes on which had ended at `ended`.
    fn may_begin(&self, at: Duration, ended: Duration) -> bool {
        match self {
            Self::Event(_, EventKind::Begun { .. }) | Self::Reading(..) => true,
            Self::Event(..) => at > ended,
            _ => false,
        }
    }
}

/// Every number of the document is a number and none is negative.
fn check_numbers(value: &Value, path: &str) -> Result<(), TestCaseError> {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            prop_assert!(number >= 0.0, "{path} is {number}");
        }
        Value::Array(values) => {
            for value in values {
                check_numbers(value, path)?;
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                check_numbers(value, &format!("{path}.{key}"))?;
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    Ok(())
}

fn check_transition(transition: &Transition, thresholds: &Thresholds) -> Result<(), TestCaseError> {
    let Transition {
        tasks_total,
        tasks_remaining,
        blockers,
        waits_for,
        age_seconds,
        seconds_without_progress,
        ..
    } = transition;
    if let (Some(total), Some(left)) = (tasks_total, tasks_remaining) {
        prop_assert!(left <= total, "more left than there are: {transition:?}");
    }
    let is_idle =
        matches!(&blockers[..], [only] if only.reason == Some(Reason::Idle) && only.tid == 0);
    match tasks_remaining {
        Some(0) => prop_assert!(blockers.is_empty() || is_idle, "{transition:?}"),
        Some(left) => {
            let shown = u32::try_from(blockers.len()).unwrap();
            let none_may_switch = blockers.is_empty() && waits_for.is_some();
            prop_assert!(shown == *left || none_may_switch, "{transition:?}");
        }
        None => {}
    }
    if let (Some(age), Some(idle)) = (age_seconds, seconds_without_progress) {
        prop_assert!(
            idle <= age,
            "no progress for longer than it runs: {transition:?}"
        );
    }
    for since in blockers.iter().filter_map(|blocker| blocker.since_seconds) {
        prop_assert!(age_seconds.is_none_or(|age| since <= age), "{transition:?}");
    }
    prop_assert_eq!(transition.started_at.is_some(), age_seconds.is_some());
    let exactly = |seconds: &Option<f64>| seconds.map(Duration::from_secs_f64);
    let phase = thresholds.phase(exactly(age_seconds), exactly(seconds_without_progress));
    prop_assert_eq!(transition.phase, phase, "{:?}", transition);
    for (now, all) in [
        (transition.tries, transition.tries_in_all),
        (transition.signals, transition.signals_in_all),
    ] {
        if let (Some(now), Some(all)) = (now, all) {
            prop_assert!(now <= all, "{transition:?}");
        }
    }
    let mut points = transition.trend.windows(2);
    prop_assert!(
        points.all(|two| two[0].seconds <= two[1].seconds),
        "{transition:?}"
    );
    if let (Some(last), Some(left)) = (transition.trend.last(), tasks_remaining)
        && !blockers.is_empty()
    {
        prop_assert_eq!(last.remaining, *left, "{:?}", transition);
    }
    Ok(())
}

fn check_past(past: &PastTransition) -> Result<(), TestCaseError> {
    let failed = matches!(past.outcome, Outcome::Refused | Outcome::Cancelled);
    prop_assert_eq!(past.refusal.is_some(), failed, "{:?}", past);
    if past.direction.is_none() {
        prop_assert_eq!(past.outcome, Outcome::Refused, "{:?}", past);
    }
    if past.outcome != Outcome::Refused {
        prop_assert!(past.patch.is_some() && past.engine.is_some(), "{past:?}");
    }
    prop_assert_eq!(past.started_at.is_some(), past.duration_seconds.is_some());
    if let Some(started) = past.started_at {
        prop_assert!(
            started <= past.ended_at,
            "it ended before it began: {past:?}"
        );
    }
    Ok(())
}

/// Only the reasons for a refusal change later.
fn fixed(past: &PastTransition) -> Option<PastTransition> {
    (past.outcome != Outcome::Refused).then(|| PastTransition {
        refusal: None,
        ..past.clone()
    })
}

fn check(model: &Model, now: &Moment) -> Result<Snapshot, TestCaseError> {
    let thresholds = Thresholds::default();
    let snapshot = model.snapshot(now, &thresholds);
    for patch in &snapshot.patches {
        if let Some(transition) = &patch.transition {
            check_transition(transition, &thresholds)?;
        }
    }
    for engine in ENGINES {
        let patches = snapshot.patches.iter();
        let running = patches.filter(|patch| patch.engine == engine && patch.transition.is_some());
        prop_assert!(
            running.count() <= 1,
            "two transitions of {engine:?} at a time"
        );
    }
    prop_assert!(snapshot.last_transitions.len() <= 32);
    for past in &snapshot.last_transitions {
        check_past(past)?;
        prop_assert!(past.ended_at <= now.wall, "it ends in the future: {past:?}");
    }
    let document = serde_json::to_value(&snapshot).unwrap();
    check_numbers(&document, "")?;
    let read: Snapshot = serde_json::from_value(document.clone()).unwrap();
    prop_assert_eq!(serde_json::to_value(&read).unwrap(), document);
    Ok(snapshot)
}

fn run(steps: Vec<Step>, hooks_since: Option<u64>) -> Result<(), TestCaseError> {
    let mut model = model(hooks_since);
    let mut clock = 100_000_u64;
    let mut ended = Vec::new();
    let mut last_end = Duration::ZERO;
    for Step {
        after_ms,
        late_ms,
        what,
    } in steps
    {
        clock += after_ms;
        let now = Moment {
            boot: Duration::from_millis(clock),
            wall: WALL.parse::<Timestamp>().unwrap() + Duration::from_millis(clock),
        };
        let at = Duration::from_millis(clock - late_ms);
        let was = model.in_transition();
        let may_begin = what.may_begin(at, last_end);
        let told = model.handle(what.clone().input(at), &now);
        let snapshot = check(&model, &now)?;
        if was.is_none() && model.in_transition().is_some() {
            prop_assert!(
                may_begin,
                "{what:?} un-completes what has ended at {last_end:?}"
            );
        }
        let own = |past: &&PastTransition| past.engine == Some(EngineKind::Livepatch);
        for past in told.iter().filter(own).filter_map(fixed) {
            let since = past.ended_at.duration_since(WALL.parse().unwrap());
            last_end = last_end.max(since.try_into().unwrap());
        }
        // What has ended stays, the newest first.
        let kept: Vec<PastTransition> =
            snapshot.last_transitions.iter().filter_map(fixed).collect();
        let fresh = told.iter().rev().filter_map(fixed);
        let all: Vec<PastTransition> = fresh.chain(ended).collect();
        let is_full = snapshot.last_transitions.len() == 32;
        prop_assert!(
            kept == all || (is_full && all.starts_with(&kept)),
            "after {what:?}: kept {kept:?} of {all:?}"
        );
        ended = kept;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_order_of_inputs_gives_a_snapshot_without_contradiction(
        steps in vec(step(), 1..40),
        hooks_since in prop::sample::select(vec![None, Some(0), Some(101)]),
    ) {
        run(steps, hooks_since)?;
    }
}
