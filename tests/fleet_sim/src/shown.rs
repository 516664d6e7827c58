//! The snapshot that the lpwatch of a simulated host would make, and from it its
//! metrics, by lpwatch's own writer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lpwatch::{
    daemon::metrics::render,
    kernel::kallsyms::VMLINUX,
    model::{
        Blocker, Direction, EngineKind, ObservedFact, Outcome, Reason, Snapshot, Thresholds,
        document::DocumentHead,
        snapshot::{Calls, Function, Object, PastTransition, Patch, Probe, Source, Transition},
        totals::Totals,
    },
};

use super::plan::{Plan, Standing};

/// What the patch changes.
const FUNCTIONS: [(&str, &[&str]); 2] = [
    (VMLINUX, &["tcp_v4_rcv", "do_sys_openat2", "__x64_sys_bpf"]),
    ("nf_tables", &["nft_do_chain"]),
];

/// The hooks of a kernel with all that lpwatch can use.
const PROBES: [(ObservedFact, &str); 12] = [
    (ObservedFact::Begun, "fentry"),
    (ObservedFact::Enable, "fentry"),
    (ObservedFact::Try, "fentry"),
    (ObservedFact::Complete, "fentry"),
    (ObservedFact::Reversed, "fentry"),
    (ObservedFact::Forced, "fentry"),
    (ObservedFact::Cancelled, "fentry"),
    (ObservedFact::Refused, "kretprobe"),
    (ObservedFact::Verdict, "kretprobe"),
    (ObservedFact::ModuleLoaded, "raw_tracepoint"),
    (ObservedFact::Tasks, "iter"),
    (ObservedFact::Log, "kmsg"),
];

/// The metrics of a host at simulated second `now` after `began`.
///
/// # Errors
/// The writer's own.
pub fn metrics(
    plan: &Plan,
    standing: Standing,
    now: f64,
    began: Timestamp,
    patch: &str,
) -> Result<String, prometheus::Error> {
    let host = Shown {
        plan,
        now,
        began,
        patch,
    };
    let snapshot = host.snapshot(standing);
    let mut totals = Totals::default();
    for past in &snapshot.last_transitions {
        totals.note(past);
    }
    render(&snapshot, &totals)
}

struct Shown<'a> {
    plan: &'a Plan,
    now: f64,
    began: Timestamp,
    patch: &'a str,
}

impl Shown<'_> {
    /// A simulated second on this host's clock, right or wrong.
    fn clock(&self, second: f64) -> Timestamp {
        let since = SignedDuration::from_secs_f64(second + self.plan.skew);
        self.began.checked_add(since).unwrap_or(self.began)
    }

    fn snapshot(&self, standing: Standing) -> Snapshot {
        let (transition, past) = match standing {
            Standing::Silent | Standing::NotPatched => (None, None),
            Standing::Moving {
                since,
                left,
                idle,
                reason,
            } => (Some(self.transition(since, left, idle, reason)), None),
            Standing::Done { since, took } => (
                None,
                Some(self.past(Outcome::Completed, since + took, Some(took))),
            ),
            Standing::Failed { outcome, at, took } => (None, Some(self.past(outcome, at, took))),
        };
        let loaded = matches!(standing, Standing::Moving { .. } | Standing::Done { .. });
        let done = matches!(standing, Standing::Done { .. });
        let patch = || Patch {
            name: self.patch.to_owned(),
            engine: EngineKind::Livepatch,
            enabled: Some(true),
            refusal: None,
            replace: Some(true),
            stack_order: None,
            objects: self.objects(done),
            transition: transition.clone(),
            check: None,
        };
        Snapshot {
            head: DocumentHead::new(
                self.plan.name.clone(),
                self.plan.kernel.clone(),
                self.clock(self.now),
                Source::Bpf,
            ),
            daemon: true,
            thresholds: Thresholds::default(),
            probes: probes(),
            notes: Vec::new(),
            events_lost: 0,
            patches: loaded.then(patch).into_iter().collect(),
            watched: Vec::new(),
            stops: None,
            last_transitions: past.into_iter().collect(),
        }
    }

    fn transition(&self, since: f64, left: u32, idle: f64, reason: Reason) -> Transition {
        let age = self.now - since;
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        Transition {
            direction: Direction::Patching,
            started_at: Some(self.clock(since)),
            age_seconds: Some(age),
            tasks_total: Some(self.plan.tasks),
            tasks_remaining: Some(left),
            tries: None,
            signals: None,
            tries_in_all: None,
            signals_in_all: None,
            phase: Thresholds::default().phase(duration(age), duration(idle)),
            reversed: false,
            reversed_by: None,
            forced: false,
            forced_by: None,
            seconds_without_progress: Some(idle),
            trend: Vec::new(),
            blockers: (0..left).map(|nth| blocker(nth, reason)).collect(),
            switched: None,
            waits_for: None,
            next: Vec::new(),
        }
    }

    fn past(&self, outcome: Outcome, ended: f64, took: Option<f64>) -> PastTransition {
        PastTransition {
            patch: Some(self.patch.to_owned()),
            engine: Some(EngineKind::Livepatch),
            direction: took.map(|_| Direction::Patching),
            outcome,
            started_at: took.map(|took| self.clock(ended - took)),
            ended_at: self.clock(ended),
            duration_seconds: took,
            refusal: None,
            tries: None,
            signals: None,
            tries_in_all: None,
            signals_in_all: None,
            tasks_total: Some(self.plan.tasks),
            recorded_after_ms: None,
            check: None,
            stopped: None,
            reversed_by: None,
            forced_by: None,
        }
    }

    fn objects(&self, done: bool) -> Vec<Object> {
        let functions = |names: &[&str]| {
            let of_name = |name: &&str| Function {
                name: (*name).to_owned(),
                sympos: 1,
                calls: Some(self.calls(done)),
                not_counted: None,
            };
            names.iter().map(of_name).collect()
        };
        FUNCTIONS
            .iter()
            .map(|(object, names)| Object {
                refusal: None,
                name: (*object).to_owned(),
                patched: Some(true),
                functions: functions(names),
            })
            .collect()
    }

    /// A thousand calls a second, all of new code once it is applied.
    fn calls(&self, done: bool) -> Calls {
        let per_second = |seconds: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float beyond its limits saturates"
            )]
            let calls = (seconds.max(0.0) * 1000.0) as u64;
            calls
        };
        let until = self.plan.start + self.plan.takes;
        Calls {
            old: per_second(self.now.min(until)),
            new: per_second(self.now - until),
            old_per_second: None,
            new_per_second: None,
            rates: Vec::new(),
            counter: "fentry".to_owned(),
            counted_since: self.clock(0.0),
            before: None,
            during: None,
            after: None,
            new_share: None,
            entered: None,
            not_entered: None,
            effective: done.then_some(true),
            above: 0,
            uncertain: 0,
            findings: Vec::new(),
        }
    }
}

fn probes() -> Vec<Probe> {
    let probe = |(fact, kind): (ObservedFact, &str)| Probe {
        fact,
        kind: kind.to_owned(),
        target: String::new(),
        attached: true,
        note: None,
    };
    PROBES.map(probe).into()
}

fn blocker(nth: u32, reason: Reason) -> Blocker {
    Blocker {
        tid: 1000 + nth,
        tgid: 1000 + nth,
        comm: "sim".to_owned(),
        kthread: false,
        kind: None,
        ns_tid: None,
        ns_tgid: None,
        state: None,
        kernel_check: None,
        reason: Some(reason),
        cause: None,
        function: None,
        program: None,
        vfork_child: None,
        since_seconds: None,
        stack: Vec::new(),
        blocking_frame: None,
        advice: None,
    }
}
