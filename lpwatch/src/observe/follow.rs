//! The loop: sleeps until the kernel tells of something, then brings the model
//! up to date and hands out the snapshot.
//!
//! While nothing is in transition nothing is polled: hooks and the kernel log
//! wake the loop. Where a host has neither, sysfs is read once a second, and
//! the snapshot says so.

mod handle;
mod waking;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    error::Error,
    model::{Snapshot, Thresholds, totals::Totals},
    probe::{BpfLog, EventRing, StopRing},
};

use super::{
    folder_watch::FolderWatch,
    heartbeat::Heartbeat,
    log_source::LogSource,
    observer::{EventSources, Observer},
};

use handle::Ask;
use waking::{Waking, ready, until};

pub use handle::Followed;

/// In transition: the kernel itself tries once a second.
const IN_TRANSITION: Duration = Duration::from_secs(1);
/// In transition on a host that does not tell when it ends.
const IN_TRANSITION_BLIND: Duration = Duration::from_millis(200);
/// After an end was announced, until sysfs shows it.
const SETTLING: Duration = Duration::from_millis(50);
/// On a host that tells nothing.
const BLIND: Duration = Duration::from_secs(1);

/// Readings tried while events keep coming.
const READINGS: usize = 16;

/// The loop's own side.
pub struct Follower {
    observer: Observer,
    thresholds: Thresholds,
    ring: Option<Waking<EventRing>>,
    stops: Option<Waking<StopRing>>,
    bpf_log: Option<Waking<BpfLog>>,
    kernel_log: Option<Waking<LogSource>>,
    watched_files: Option<Waking<FolderWatch>>,
    heartbeat: Option<Heartbeat>,
    hooked: bool,
    publish: watch::Sender<Arc<Snapshot>>,
    totals: watch::Sender<Totals>,
    asked: mpsc::Receiver<Ask>,
}

/// What woke the loop.
enum Woken {
    Ring,
    KernelLog,
    BpfLog,
    WatchedFiles,
    Timer,
    Asked(Ask),
    NobodyLeft,
}

/// Makes a loop and the handle to it. Must be called within a tokio runtime.
///
/// # Errors
/// [`Error`] if sysfs cannot be read or the runtime does not take the files.
pub fn follow(
    mut observer: Observer,
    sources: Option<EventSources>,
    thresholds: Thresholds,
) -> Result<(Follower, Followed), Error> {
    observer.refresh()?;
    let hooked = sources.as_ref().is_some_and(|sources| sources.follows);
    let (ring, log, stops) = sources.map_or((None, None, None), |sources| {
        (Some(sources.ring), sources.log, sources.stops)
    });
    let kernel_log = observer.log.take();
    if !hooked && kernel_log.is_none() {
        observer.note(
            "Neither hooks nor the kernel log tell of changes here: sysfs is read once a second.",
        );
    }
    // What the kernel log told of the time before is shown, not counted.
    observer.take_ended();
    let snapshot = Arc::new(observer.snapshot(&thresholds));
    let (publish, snapshots) = watch::channel(snapshot);
    let (totals, ended) = watch::channel(Totals::default());
    let (asks, asked) = mpsc::channel(16);
    let watched_files = observer.watch_files();
    let follower = Follower {
        observer,
        thresholds,
        ring: ring.map(Waking::new).transpose()?,
        stops: stops.map(Waking::new).transpose()?,
        bpf_log: log.map(Waking::new).transpose()?,
        kernel_log: kernel_log.map(Waking::new).transpose()?,
        watched_files: watched_files.map(Waking::new).transpose()?,
        heartbeat: None,
        hooked,
        publish,
        totals,
        asked,
    };
    let followed = Followed {
        snapshots,
        totals: ended,
        asks,
    };
    Ok((follower, followed))
}

impl Follower {
    /// Has the loop itself show that it works.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Option<Heartbeat>) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Follows until nobody holds the handle any more.
    ///
    /// # Errors
    /// [`Error`] if sysfs can no longer be read.
    pub async fn run(mut self) -> Result<(), Error> {
        loop {
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.tick();
            }
            match self.wait().await? {
                Woken::Ring => self.update(false)?,
                Woken::Timer if self.changes() => self.update(false)?,
                // All that is new are numbers of calls, and stops not all told of.
                Woken::Timer => {
                    self.drain_stops();
                    self.observer.count();
                }
                Woken::KernelLog => {
                    if self.read_kernel_log() {
                        self.update(false)?;
                    }
                }
                Woken::BpfLog => {
                    if let Some(log) = &mut self.bpf_log {
                        log.file.flush();
                    }
                    continue;
                }
                Woken::WatchedFiles => self.read_watched_files(),
                Woken::Asked(Ask::Check(report)) => self.observer.note_check(report),
                Woken::Asked(Ask::Snapshot(answer)) => {
                    // Events may wait unread: what was asked for is now.
                    self.update(true)?;
                    self.publish_snapshot();
                    // Whoever asked may have gone.
                    let _ = answer.send(self.publish.borrow().clone());
                    continue;
                }
                Woken::NobodyLeft => return Ok(()),
            }
            self.publish_snapshot();
        }
    }

    async fn wait(&mut self) -> Result<Woken, Error> {
        let timer = self.pause().map(|pause| Instant::now() + pause);
        let Self {
            ring,
            stops,
            bpf_log,
            kernel_log,
            watched_files,
            heartbeat,
            asked,
            ..
        } = self;
        loop {
            let due = heartbeat.as_ref().map(Heartbeat::due);
            tokio::select! {
                woken = ready(ring.as_ref()) => return woken.map(|()| Woken::Ring),
                woken = ready(stops.as_ref()) => return woken.map(|()| Woken::Ring),
                woken = ready(kernel_log.as_ref()) => return woken.map(|()| Woken::KernelLog),
                woken = ready(bpf_log.as_ref()) => return woken.map(|()| Woken::BpfLog),
                woken = ready(watched_files.as_ref()) => {
                    return woken.map(|()| Woken::WatchedFiles);
                }
                () = until(timer) => return Ok(Woken::Timer),
                // The timer goes on: a beat does not put it off.
                () = until(due) => heartbeat.iter_mut().for_each(Heartbeat::tick),
                answer = asked.recv() => {
                    return Ok(answer.map_or(Woken::NobodyLeft, Woken::Asked));
                }
            }
        }
    }

    /// Whether the state may change without an event.
    fn changes(&self) -> bool {
        let model = self.observer.model();
        model.is_settling()
            || model.in_transition().is_some()
            || model.awaits_turn()
            || model.has_others()
            || !self.is_told()
    }

    fn is_told(&self) -> bool {
        self.hooked || self.kernel_log.is_some()
    }

    /// For how long nothing but an event needs doing.
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
        let told = self.is_told();
        let model = self.observer.model();
        if model.is_settling() {
            Some(SETTLING)
        } else if model.in_transition().is_some() {
            Some(if told {
                IN_TRANSITION
            } else {
                IN_TRANSITION_BLIND
            })
        } else {
            // The systems beside livepatch tell of little.
            (!told || model.has_others()).then_some(BLIND)
        }
    }

    /// Takes in all events, then mends the state by reading it.
    ///
    /// A hook fires before sysfs shows what it tells of. So a reading counts
    /// only once the ring was found empty after it: otherwise it would be taken
    /// for news what an event still unread explains.
    fn update(&mut self, into: bool) -> Result<(), Error> {
        self.drain();
        for _ in 0..READINGS {
            let view = self.observer.read_patches()?;
            if !self.drain() {
                self.observer.mend(view, into);
                return Ok(());
            }
        }
        // Events come faster than sysfs can be read; the next wake-up mends.
        Ok(())
    }

    /// Takes in what hooks and log have told; whether the hooks told anything.
    fn drain(&mut self) -> bool {
        // First the stops: what ends below has them for its own.
        self.drain_stops();
        let Some(ring) = &mut self.ring else {
            return self.read_kernel_log();
        };
        let events = ring.file.drain();
        let lost = ring.file.lost();
        let hooks_told = !events.is_empty();
        // The log has the words for what the hooks report.
        let log_told = self.read_kernel_log();
        self.observer.take(events, lost);
        hooks_told || log_told
    }

    fn drain_stops(&mut self) {
        if let Some(stops) = &mut self.stops {
            let (spans, lost) = (stops.file.drain(), stops.file.lost());
            self.observer.take_stops(&spans, lost);
        }
    }

    fn read_kernel_log(&mut self) -> bool {
        let Some(log) = &mut self.kernel_log else {
            return false;
        };
        match self.observer.read_log(&mut log.file) {
            Ok(changed) => changed.is_some(),
            Err(error) => {
                tracing::warn!(%error, "the kernel log ends here");
                self.observer
                    .lose_log(&format!("The kernel log is no longer read: {error}."));
                self.kernel_log = None;
                false
            }
        }
    }

    /// The patches that lie ready are others: so may be what is counted.
    fn read_watched_files(&mut self) {
        let Self {
            observer,
            watched_files,
            ..
        } = self;
        if let Some(files) = watched_files
            && files.file.drain()
        {
            observer.rewatch_files(&files.file);
            observer.rewatch();
            observer.count();
        }
    }

    fn publish_snapshot(&mut self) {
        let ended = self.observer.take_ended();
        if !ended.is_empty() {
            self.totals
                .send_modify(|totals| ended.iter().for_each(|past| totals.note(past)));
        }
        let snapshot = self.observer.snapshot(&self.thresholds);
        self.publish.send_replace(Arc::new(snapshot));
    }
}
