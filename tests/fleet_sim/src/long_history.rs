//! Writes a long history for `cargo xtask bench history`: transitions as the model sees
//! them from a kernel's events, through the journal into a store.

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use lpwatch::{
    history::{Limits, Store},
    model::{
        Direction, EngineKind, Event, EventKind, EventSource, HostFacts, Input, Model, Moment,
        PatchView, SystemView, Task, TaskKind, TaskSample, Thresholds,
        evidence::{Evidence, Frame, Traits},
        journal::{Entry, Journal},
        snapshot::{PastTransition, Source},
    },
};

const PATCH: &str = "lp_fix";

/// All tasks of the host.
const TASKS: u32 = 400;

/// One transition in so many lasts long, with tasks that stay.
const LONG_EVERY: u32 = 10;

/// How long these take, in seconds.
const LONG: u32 = 60;

/// Between two transitions, in seconds.
const PAUSE: u32 = 2;

/// A host and the history of its daemon.
struct Host {
    model: Model,
    journal: Journal,
    store: Store,
    now: Moment,
    last_id: u64,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("which folder?")?);
    let number = arguments.next().context("how many transitions?")?;
    let number: u32 = number.to_string_lossy().parse()?;
    let opened = Store::open(&folder, Limits::default())?;
    ensure!(opened.note.is_none(), "{:?}", opened.note);
    // None of them may be in the future.
    let back = SignedDuration::from_secs(i64::from(number) * i64::from(LONG + PAUSE));
    let mut host = Host {
        model: model(),
        journal: Journal::new(Some("00000000-0000-4000-8000-000000000000".to_owned())),
        store: opened.store,
        now: Moment {
            boot: Duration::from_secs(1000),
            wall: Timestamp::now().checked_sub(back)?,
        },
        last_id: 0,
    };
    host.read(false, false)?;
    for one in 0..number {
        let direction = if one % 2 == 0 {
            Direction::Patching
        } else {
            Direction::Unpatching
        };
        host.transition(direction, one % LONG_EVERY == LONG_EVERY - 1)?;
    }
    Ok(())
}

fn model() -> Model {
    let facts = HostFacts {
        host: "bench".to_owned(),
        kernel: "6.12.0".to_owned(),
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
    Model::new(facts, Some(Duration::ZERO))
}

impl Host {
    fn transition(&mut self, direction: Direction, is_long: bool) -> anyhow::Result<()> {
        let enabled = direction == Direction::Patching;
        self.wait(Duration::from_secs(PAUSE.into()));
        self.tell(EventKind::Begun {
            patch: PATCH.to_owned(),
            direction,
            replace: Some(false),
            epoch: None,
        })?;
        self.read(enabled, true)?;
        let seconds = if is_long { LONG } else { 1 };
        for second in 0..seconds {
            let left = if second == 0 { 40 } else { 5 };
            self.tell(EventKind::Try {
                patch: Some(PATCH.to_owned()),
                direction: Some(direction),
                before: Some(second),
            })?;
            let sample = TaskSample {
                at: self.now.boot,
                direction,
                total: Some(TASKS),
                remaining: (1..=left).map(task).collect(),
                unread: 0,
                switched: None,
            };
            let engine = EngineKind::Livepatch;
            self.handle(Input::Tasks { engine, sample })?;
            self.wait(Duration::from_secs(1));
        }
        self.tell(EventKind::Complete {
            patch: Some(PATCH.to_owned()),
            direction: Some(direction),
            before: Some(seconds),
            epoch: None,
        })?;
        self.wait(Duration::from_millis(50));
        self.read(enabled, false)
    }

    fn wait(&mut self, time: Duration) {
        self.now.boot += time;
        self.now.wall += time;
    }

    fn tell(&mut self, kind: EventKind) -> anyhow::Result<()> {
        let (at, source) = (self.now.boot, EventSource::Hook);
        self.handle(Input::Event(Event { at, source, kind }))
    }

    /// What sysfs shows of the patch.
    fn read(&mut self, enabled: bool, in_transition: bool) -> anyhow::Result<()> {
        let patch = PatchView {
            enabled: Some(enabled),
            in_transition,
            ..PatchView::new(PATCH.to_owned(), EngineKind::Livepatch)
        };
        let patches = if enabled || in_transition {
            vec![patch]
        } else {
            Vec::new()
        };
        self.handle(Input::Reading(SystemView {
            read_at: self.now.boot,
            present: vec![EngineKind::Livepatch],
            patches,
            ..SystemView::default()
        }))
    }

    fn handle(&mut self, input: Input) -> anyhow::Result<()> {
        let ended = self.model.handle(input, &self.now);
        self.record(&ended)
    }

    /// As the daemon does after each step.
    fn record(&mut self, ended: &[PastTransition]) -> anyhow::Result<()> {
        let snapshot = self.model.snapshot(&self.now, &Thresholds::default());
        let mut news = self.journal.take(&Arc::new(snapshot), ended, &self.now);
        if news.is_empty() {
            return Ok(());
        }
        for entry in &mut news.entries {
            let entry: &mut Entry = entry;
            self.last_id += 1;
            entry.id = self.last_id;
        }
        self.store.add(&news.entries, &news.records)?;
        Ok(())
    }
}

/// A task asleep in a function of the kernel, with a stack of the usual length.
fn task(tid: u32) -> Task {
    let frame = |symbol: &str| Frame {
        symbol: symbol.to_owned(),
        offset: 0x4a,
        module: None,
    };
    let symbols = [
        "schedule",
        "futex_wait_queue",
        "__futex_wait",
        "futex_wait",
        "do_futex",
        "__x64_sys_futex",
        "do_syscall_64",
        "entry_SYSCALL_64_after_hwframe",
    ];
    Task {
        tid: 1000 + tid,
        tgid: 1000,
        comm: format!("worker-{tid}"),
        kind: TaskKind::User,
        evidence: Evidence {
            looked: true,
            state: Some('S'),
            stack: symbols.map(frame).into(),
            ..Evidence::default()
        },
    }
}
