//! The loop: sleeps until the kernel reports something, then brings the model
//! up to date and publishes the snapshot.
//!
//! Without a transition nothing is polled: hooks and the kernel log wake the
//! loop. On a host with neither, sysfs is read once a second, and the snapshot
//! says so.

mod drain;
mod handle;
mod waking;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    error::Error,
    kernel::host::Clocks,
    model::{
        Phase, Snapshot, Thresholds,
        journal::{Journal, News},
        totals::Totals,
    },
    probe::{BpfLog, EventRing, StopRing, heap},
};

use super::{
    clock,
    folder_watch::FolderWatch,
    heartbeat::Heartbeat,
    log_source::LogSource,
    observer::{EventSources, LoadedBpf, Observer},
    task_pace::Demand,
};

use handle::Request;
use waking::{WakeSource, ready, result, until};

pub use handle::FollowHandle;

/// In transition: the kernel itself tries once a second.
const IN_TRANSITION: Duration = Duration::from_secs(1);
/// In transition on a host that does not report its end.
const IN_TRANSITION_BLIND: Duration = Duration::from_millis(200);
/// After an end was reported, until sysfs shows it.
const SETTLING: Duration = Duration::from_millis(50);
/// The same just after the kernel's last word: it is as good as done.
const SETTLING_LEAST: Duration = Duration::from_millis(1);
/// From then on sysfs is read again after this part of the time since.
const SETTLING_PART: u32 = 4;

/// How long after the end of a transition free memory is given back: those who wait for
/// the end come first.
const BEFORE_TIDYING: Duration = Duration::from_millis(100);
/// On a host that reports nothing.
const BLIND: Duration = Duration::from_secs(1);

/// So many blockers take memory that is worth giving back.
const MANY_BLOCKERS: usize = 512;

/// Readings tried while events keep arriving.
const READINGS: usize = 16;

/// The loop itself.
pub struct Follower {
    observer: Observer,
    thresholds: Thresholds,
    ring: Option<WakeSource<EventRing>>,
    stops: Option<WakeSource<StopRing>>,
    bpf_log: Option<WakeSource<BpfLog>>,
    kernel_log: Option<WakeSource<LogSource>>,
    watched_files: Option<WakeSource<FolderWatch>>,
    heartbeat: Option<Heartbeat>,
    hooked: bool,
    /// What is being loaded meanwhile.
    loading: Option<oneshot::Receiver<LoadedBpf>>,
    publish: watch::Sender<Arc<Snapshot>>,
    totals: watch::Sender<Totals>,
    asked: mpsc::Receiver<Request>,
    journal: Option<(Journal, JournalSink)>,
    /// The last note about the history.
    history_note: Option<String>,
    /// That this loop did not run for a while: shown until the next transition begins or
    /// ends.
    interruption: Option<String>,
    /// Held by all who read each snapshot.
    viewers: Arc<()>,
    /// The most blockers shown since free memory was given back.
    most_blockers: usize,
    /// When free memory is given back.
    tidy_at: Option<Instant>,
}

/// Shows another note in place of `last`, or none.
fn replace_note(observer: &mut Observer, last: &mut Option<String>, note: Option<String>) {
    if let Some(old) = last.take() {
        observer.note_if(false, &old);
    }
    if let Some(new) = &note {
        observer.note_if(true, new);
    }
    *last = note;
}

fn blockers(snapshot: &Snapshot) -> usize {
    let transitions = snapshot.patches.iter();
    let transitions = transitions.filter_map(|patch| patch.transition.as_ref());
    transitions.map(|one| one.blockers.len()).sum()
}

fn is_stalled(snapshot: &Snapshot) -> bool {
    let mut transitions = snapshot
        .patches
        .iter()
        .filter_map(|patch| patch.transition.as_ref());
    transitions.any(|transition| transition.phase == Some(Phase::Stalled))
}

/// Takes what is new in the journal.
pub type JournalSink = Box<dyn FnMut(News) + Send>;

/// What woke the loop.
enum WakeCause {
    Ring,
    KernelLog,
    BpfLog,
    WatchedFiles,
    /// BPF programs were loaded and attached; `None` if that ended without a result.
    Loaded(Option<Box<LoadedBpf>>),
    Timer,
    Asked(Request),
    NobodyLeft,
}

/// Makes a loop and the handle to it. Must be called within a tokio runtime.
///
/// # Errors
/// [`Error`] if sysfs cannot be read or the runtime cannot wait for the files.
pub fn follow(
    mut observer: Observer,
    sources: Option<EventSources>,
    thresholds: Thresholds,
) -> Result<(Follower, FollowHandle), Error> {
    observer.refresh()?;
    let kernel_log = observer.log.take();
    let roots = Arc::new(observer.roots.clone());
    // What the kernel log reported of the time before is shown, not counted.
    observer.take_ended();
    let snapshot = Arc::new(observer.snapshot(&thresholds));
    let (publish, snapshots) = watch::channel(snapshot);
    let (totals, ended) = watch::channel(Totals::default());
    let (asks, asked) = mpsc::channel(16);
    let mut follower = Follower {
        observer,
        thresholds,
        ring: None,
        stops: None,
        bpf_log: None,
        kernel_log: kernel_log.map(WakeSource::new).transpose()?,
        watched_files: None,
        heartbeat: None,
        hooked: false,
        loading: None,
        publish,
        totals,
        asked,
        journal: None,
        history_note: None,
        interruption: None,
        viewers: Arc::default(),
        most_blockers: 0,
        tidy_at: None,
    };
    follower.take_sources(sources)?;
    follower.publish_snapshot();
    let followed = FollowHandle {
        snapshots,
        totals: ended,
        roots,
        asks,
        viewers: Arc::downgrade(&follower.viewers),
    };
    Ok((follower, followed))
}

impl Follower {
    /// Makes the loop itself give the sign of life.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Option<Heartbeat>) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Makes the loop keep a journal, and give to `sink` what is new in it: first, what
    /// happened before.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal, sink: JournalSink) -> Self {
        self.journal = Some((journal, sink));
        self.publish_snapshot();
        self
    }

    /// Makes the loop follow without hooks until `loading` has a result.
    #[must_use]
    pub fn with_loading(mut self, loading: oneshot::Receiver<LoadedBpf>) -> Self {
        self.observer.note_attaching(true);
        self.loading = Some(loading);
        self.publish_snapshot();
        self
    }

    /// Takes over the event sources.
    fn take_sources(&mut self, sources: Option<EventSources>) -> Result<(), Error> {
        self.hooked = sources.as_ref().is_some_and(|sources| sources.follows);
        if let Some(sources) = sources {
            self.ring = Some(WakeSource::new(sources.ring)?);
            self.stops = sources.stops.map(WakeSource::new).transpose()?;
            self.bpf_log = sources.log.map(WakeSource::new).transpose()?;
        }
        let watched_files = self.observer.watch_files();
        self.watched_files = watched_files.map(WakeSource::new).transpose()?;
        self.observer.note_if(
            !self.reports_events(),
            "Neither hooks nor the kernel log report changes here: sysfs is read once a second.",
        );
        Ok(())
    }

    /// Goes on with what was loaded.
    fn adopt(&mut self, loaded: Option<Box<LoadedBpf>>) -> Result<(), Error> {
        self.loading = None;
        let Some(loaded) = loaded else {
            self.observer.note_attaching(false);
            self.observer
                .note("Loading BPF programs ended without a result.");
            return Ok(());
        };
        let sources = self.observer.adopt(*loaded);
        self.take_sources(sources)?;
        for probe in &self.observer.model().facts().probes {
            tracing::info!(
                fact = probe.fact.name(),
                kind = probe.kind,
                target = probe.target,
                attached = probe.attached,
                "probe"
            );
        }
        // What loading took is free by now.
        heap::return_free_memory();
        self.update(self.demand())
    }

    /// Follows until the last handle is dropped.
    ///
    /// # Errors
    /// [`Error`] if sysfs can no longer be read.
    pub async fn run(mut self) -> Result<(), Error> {
        loop {
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.tick();
            }
            match self.wait().await? {
                WakeCause::Ring => self.update(self.demand())?,
                WakeCause::Timer if self.changes() => self.update(self.demand())?,
                // Only numbers of calls are new, and stops that not all CPUs
                // have reported.
                WakeCause::Timer => {
                    self.drain_stops();
                    self.observer.count();
                }
                WakeCause::KernelLog => {
                    if self.read_kernel_log() {
                        self.update(self.demand())?;
                    }
                }
                WakeCause::BpfLog => {
                    if let Some(log) = &mut self.bpf_log {
                        log.file.flush();
                    }
                    continue;
                }
                WakeCause::WatchedFiles => self.read_watched_files(),
                WakeCause::Loaded(loaded) => self.adopt(loaded)?,
                WakeCause::Asked(Request::Check(report)) => self.observer.note_check(report),
                WakeCause::Asked(Request::HistoryNote(note)) => {
                    replace_note(&mut self.observer, &mut self.history_note, note);
                }
                WakeCause::Asked(Request::Snapshot(answer)) => {
                    // Events may be unread, and the request is for the present
                    // state.
                    self.update(Demand::Asked)?;
                    self.publish_snapshot();
                    // The requester may be gone.
                    let _ = answer.send(self.publish.borrow().clone());
                    continue;
                }
                WakeCause::NobodyLeft => return Ok(()),
            }
            self.publish_snapshot();
        }
    }

    async fn wait(&mut self) -> Result<WakeCause, Error> {
        let timer = self.pause().map(|pause| Instant::now() + pause);
        let Self {
            ring,
            stops,
            bpf_log,
            kernel_log,
            watched_files,
            heartbeat,
            loading,
            asked,
            tidy_at,
            ..
        } = self;
        loop {
            let due = heartbeat.as_ref().map(Heartbeat::due);
            tokio::select! {
                woken = ready(ring.as_ref()) => return woken.map(|()| WakeCause::Ring),
                woken = ready(stops.as_ref()) => return woken.map(|()| WakeCause::Ring),
                woken = ready(kernel_log.as_ref()) => return woken.map(|()| WakeCause::KernelLog),
                woken = ready(bpf_log.as_ref()) => return woken.map(|()| WakeCause::BpfLog),
                woken = ready(watched_files.as_ref()) => {
                    return woken.map(|()| WakeCause::WatchedFiles);
                }
                loaded = result(loading.as_mut()) => {
                    return Ok(WakeCause::Loaded(loaded.map(Box::new)));
                }
                () = until(timer) => return Ok(WakeCause::Timer),
                // The timer goes on: a beat does not postpone it.
                () = until(due) => heartbeat.iter_mut().for_each(Heartbeat::tick),
                () = until(*tidy_at) => {
                    *tidy_at = None;
                    heap::return_free_memory();
                }
                answer = asked.recv() => {
                    return Ok(answer.map_or(WakeCause::NobodyLeft, WakeCause::Asked));
                }
            }
        }
    }

    /// Whether the state may change without an event.
    fn changes(&self) -> bool {
        let model = self.observer.model();
        model.is_settling(Clocks::now().boot)
            || model.in_transition().is_some()
            || model.awaits_turn()
            || model.has_others()
            || !self.reports_events()
    }

    fn reports_events(&self) -> bool {
        self.hooked || self.kernel_log.is_some()
    }

    /// How long the loop may sleep unless an event arrives.
    fn pause(&self) -> Option<Duration> {
        let for_state = self.pause_for_state();
        let for_counts = self.observer.count_after();
        let for_stops = self.observer.stops_after();
        [for_state, for_counts, for_stops]
            .into_iter()
            .flatten()
            .min()
    }

    fn pause_for_state(&self) -> Option<Duration> {
        let reported = self.reports_events();
        let model = self.observer.model();
        let now = Clocks::now().boot;
        if let Some(since) = model.ending_since() {
            let part = now.saturating_sub(since) / SETTLING_PART;
            Some(part.clamp(SETTLING_LEAST, SETTLING))
        } else if model.is_settling(now) {
            Some(SETTLING)
        } else if model.in_transition().is_some() {
            Some(if reported {
                IN_TRANSITION
            } else {
                IN_TRANSITION_BLIND
            })
        } else {
            // The other engines report little.
            (!reported || model.has_others()).then_some(BLIND)
        }
    }

    /// Applies all events, then reconciles the state with a reading.
    ///
    /// A hook fires before sysfs shows the change. A reading therefore counts
    /// only if the ring is empty after it: otherwise the model would take for
    /// news what an unread event explains.
    fn update(&mut self, demand: Demand) -> Result<(), Error> {
        self.drain();
        for _ in 0..READINGS {
            let view = self.observer.read_patches()?;
            if !self.drain() {
                self.observer.reconcile(view, demand);
                return Ok(());
            }
        }
        // Events arrive faster than sysfs can be read; the next wake-up
        // reconciles.
        Ok(())
    }

    fn publish_snapshot(&mut self) {
        let ended = self.observer.take_ended();
        let has_ended = !ended.is_empty();
        if has_ended {
            self.totals
                .send_modify(|totals| ended.iter().for_each(|past| totals.note(past)));
        }
        let now = clock::now();
        let snapshot = Arc::new(self.observer.snapshot_at(&now, &self.thresholds));
        if let Some((journal, sink)) = &mut self.journal {
            let news = journal.take(&snapshot, &ended, &now);
            let interruption = news.interruption().map(str::to_owned);
            if interruption.is_some() || news.has_transition() {
                replace_note(&mut self.observer, &mut self.interruption, interruption);
            }
            if !news.is_empty() {
                sink(news);
            }
        }
        let blockers = blockers(&snapshot);
        self.publish.send_replace(snapshot);
        self.most_blockers = self.most_blockers.max(blockers);
        let fell = self.most_blockers >= MANY_BLOCKERS && blockers <= self.most_blockers / 2;
        // One that ends at once may never have shown the tasks it began with.
        if fell || has_ended {
            self.most_blockers = blockers;
            self.tidy_at = Some(Instant::now() + BEFORE_TIDYING);
        }
    }

    /// How much depends on a look at the tasks now.
    fn demand(&self) -> Demand {
        let is_viewed = Arc::strong_count(&self.viewers) > 1;
        if !is_viewed && is_stalled(&self.publish.borrow()) {
            Demand::Stalled
        } else {
            Demand::Watched
        }
    }
}
