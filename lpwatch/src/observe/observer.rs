//! One host: kernel, probes and model put together.

mod setup;

use std::time::Duration;

use crate::{
    engine,
    error::Error,
    kernel::{Roots, ftrace, host::Clocks},
    model::{
        Direction, EngineKind, Event, EventKind, Input, Model, Moment, PatchView, Snapshot,
        SystemView, Thresholds, TransitionHold, WaitSample, check::CheckReport,
        snapshot::PastTransition, stops::CpuStop, waits::CallbackKind,
    },
    probe::TaskIterator,
};

use super::{
    call_source::CallSource,
    clock,
    folder_watch::FolderWatch,
    log_source::LogSource,
    other_engines,
    stop_source::StopSource,
    task_pace::{Demand, LastLook},
    task_source::{TaskReading, TaskSource},
    wait_source::WaitSource,
    watch_list::{Resolved, WatchList},
};

pub use setup::{EventSources, Hooking, LoadedBpf, ObserverOptions, is_attaching};

/// After this time a transition is inspected task by task.
const STAYING: Duration = Duration::from_secs(2);

/// After this time counters are attached in a transition. Most transitions end
/// earlier, and need their CPUs.
const COUNTED_AFTER: Duration = Duration::from_secs(1);

/// How often counters are read.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Between two steps of attaching counters, so that events are handled
/// meanwhile.
const BETWEEN_ATTACHING: Duration = Duration::from_millis(5);

/// The note while no call can be redirected.
const FTRACE_OFF: &str = "DANGER: ftrace is switched off (kernel.ftrace_enabled=0): no call is \
    redirected to new code, no live patch can be loaded, and calls are not counted. Switch it on: \
    sysctl kernel.ftrace_enabled=1";

/// What distinguishes one wait from another.
fn waits_for((patch, wait): &(String, TransitionHold)) -> impl PartialEq {
    let holder = wait.holder.as_ref().map(|holder| holder.tid);
    (patch.clone(), wait.reason, wait.callback, wait.tid, holder)
}

/// Observes one host.
pub struct Observer {
    pub(super) roots: Roots,
    tasks: TaskSource,
    last_look: Option<LastLook>,
    waits: WaitSource,
    /// What the log last said that a transition waits for.
    reported: Option<(String, TransitionHold)>,
    pub(super) log: Option<LogSource>,
    model: Model,
    /// The transitions that ended since [`Self::take_ended`] was last called.
    ended: Vec<PastTransition>,
    calls: Option<CallSource>,
    /// Counters may have to be attached, and were not because a transition had ended.
    is_attaching_late: bool,
    stops: StopSource,
    watch: WatchList,
    /// What `watch` names and cannot be read.
    watch_notes: Vec<String>,
    /// Notes that hold as long as lpwatch runs.
    lasting_notes: Vec<String>,
    /// Whether BPF programs may be loaded and attached at all.
    may_attach: bool,
}

/// The patches whose functions are counted. One that the kernel has just refused is
/// still listed for a moment: a kprobe beside the probe that it was refused for would
/// keep that one's claim on the function (`IPMODIFY`, kernel/kprobes.c) when it goes.
fn in_force(patches: &[PatchView]) -> Vec<PatchView> {
    let is_on = |patch: &&PatchView| patch.in_transition || patch.enabled != Some(false);
    patches.iter().filter(is_on).cloned().collect()
}

impl Observer {
    /// The BPF side.
    ///
    /// # Errors
    /// Why there is none, as the end of a sentence.
    pub fn iterator(&mut self) -> Result<&mut TaskIterator, &str> {
        self.tasks.iterator()
    }

    /// Inspects every task.
    pub fn look_at_all(&mut self) -> TaskReading {
        let look = self.tasks.look_at_all(&self.roots, Clocks::now().boot);
        self.note_unwinder(&look);
        look
    }

    fn note_unwinder(&mut self, look: &TaskReading) {
        if let Some(knows) = look.unwinds_bpf {
            self.handle(Input::UnwindsBpf(knows), &clock::now());
        }
    }

    /// Reads the watch list again: files may have changed.
    pub(super) fn rewatch(&mut self) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        let Resolved { functions, notes } = self.watch.resolve();
        for note in notes.iter().filter(|note| !self.watch_notes.contains(note)) {
            tracing::warn!("{note}");
        }
        calls.request(functions);
        self.watch_notes = notes;
    }

    /// Watches the files of the watch list; `None` if it has none.
    pub(super) fn watch_files(&self) -> Option<FolderWatch> {
        let paths = self.watch.paths();
        if self.calls.is_none() || paths.is_empty() {
            return None;
        }
        let watch = FolderWatch::new(&paths);
        watch
            .inspect_err(|error| tracing::warn!(%error, "changes of watched files are not noticed"))
            .ok()
    }

    /// Watches the folders that exist now.
    pub(super) fn rewatch_files(&self, folders: &FolderWatch) {
        folders.look(&self.watch.paths());
    }

    /// Applies the events of the hooks, and the number lost so far.
    pub(super) fn take(&mut self, events: Vec<Event>, lost: u64) {
        let now = clock::now();
        for event in events {
            tracing::debug!(?event, "event");
            if let EventKind::ModuleChanged { .. } = &event.kind {
                self.stops.forget_names();
            }
            if let (EventKind::ModuleChanged { module, .. }, Some(calls)) =
                (&event.kind, &mut self.calls)
            {
                calls.module_changed(module);
            }
            self.handle(Input::Event(event), &now);
        }
        self.handle(Input::EventsLost(lost), &now);
    }

    /// Applies the stops that the CPUs reported, and the number lost so far.
    pub(super) fn take_stops(&mut self, spans: &[CpuStop], lost: u64) {
        let now = clock::now();
        for stop in self.stops.take(spans, &self.roots) {
            tracing::debug!(?stop, "the machine was stopped");
            self.handle(Input::Stop(stop), &now);
        }
        self.handle(Input::StopsLost(lost), &now);
    }

    /// When to ask for stops again, even if nothing is reported.
    pub(super) fn stops_after(&self) -> Option<Duration> {
        self.stops.wait()
    }

    /// Applies the lines of the kernel log. Returns when, since boot, the last line
    /// was written that can have changed the state.
    pub(super) fn read_log(&mut self, log: &mut LogSource) -> Result<Option<Duration>, Error> {
        let clocks = Clocks::now();
        let events = log.drain(&clocks)?;
        let now = clock::moment(&clocks);
        let ftrace = ftrace::is_enabled(&self.roots);
        self.handle(Input::HooksDisabled(ftrace == Some(false)), &now);
        let mut changed = None;
        for event in events {
            tracing::debug!(?event, "log line");
            if !matches!(event.kind, EventKind::Signaling) {
                changed = Some(event.at);
            }
            self.handle(Input::Event(event), &now);
        }
        Ok(changed)
    }

    /// Adds a note that holds from now on.
    pub(super) fn note(&mut self, text: &str) {
        self.lasting_notes.push(text.to_owned());
        let mut notes = self.model.facts().notes.clone();
        notes.push(text.to_owned());
        self.handle(Input::Notes(notes), &clock::now());
    }

    /// Adds a note, or removes it.
    pub(super) fn note_if(&mut self, holds: bool, text: &str) {
        let is_noted = self.lasting_notes.iter().any(|note| note == text);
        if holds && !is_noted {
            self.note(text);
        } else if is_noted && !holds {
            self.lasting_notes.retain(|note| note != text);
            self.handle(Input::Notes(self.lasting_notes.clone()), &clock::now());
        }
    }

    /// Reads sysfs, and in a transition looks at all tasks.
    ///
    /// # Errors
    /// [`Error`] if sysfs cannot be read.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let view = self.read_patches()?;
        self.reconcile(view, Demand::Asked);
        Ok(())
    }

    /// Reads sysfs alone.
    pub(super) fn read_patches(&self) -> Result<SystemView, Error> {
        Ok(engine::read_all(&self.roots)?)
    }

    /// Reconciles the state with a reading. In a transition it also looks at
    /// all tasks if `demand` makes it due, and inspects each that is left if somebody
    /// asks, or if they stay.
    ///
    /// Most transitions end within two seconds. Reading stacks and symbols
    /// would take their CPUs just when the kernel needs them.
    pub(super) fn reconcile(&mut self, view: SystemView, demand: Demand) {
        let mut notes = self.lasting_notes.clone();
        notes.extend(view.notes.iter().cloned());
        self.handle(Input::Reading(view), &clock::now());
        notes.extend(self.look_at_others());
        notes.extend(self.watch_notes.iter().cloned());
        if let Some(direction) = self.model.in_transition() {
            let at = Clocks::now().boot;
            let stays = self.model.known_for(at) >= STAYING;
            let demand = match demand {
                Demand::Stalled if !stays => Demand::Watched,
                demand => demand,
            };
            let into = stays || demand == Demand::Asked;
            notes.extend(self.look_at_tasks(direction, at, demand, into));
            self.find_wait(at, into);
            // A callback shows the direction before sysfs does.
            if let Some(other) = self.model.in_transition().filter(|now| *now != direction) {
                notes.extend(self.look_at_tasks(other, at, demand, into));
            }
        } else {
            self.tasks.forget_symbols();
            self.last_look = None;
            self.waits.forget();
        }
        if ftrace::is_enabled(&self.roots) == Some(false) {
            notes.push(FTRACE_OFF.to_owned());
        }
        self.handle(Input::Notes(notes), &clock::now());
        self.count();
    }

    /// Looks at all tasks, unless all have switched or the last look still serves;
    /// returns what was missing.
    fn look_at_tasks(
        &mut self,
        direction: Direction,
        at: Duration,
        demand: Demand,
        into: bool,
    ) -> Vec<String> {
        if self.model.have_all_switched() {
            return Vec::new();
        }
        // Before the look: one that switches meanwhile calls for another.
        let switched = self.tasks.switched();
        if let Some(last) = &self.last_look
            && last.serves(demand, direction, at, switched)
        {
            return last.notes.clone();
        }
        let look = self.tasks.look(&self.roots, direction, at, into);
        self.note_unwinder(&look);
        self.last_look = look.sample.as_ref().map(|sample| LastLook {
            at,
            direction,
            total: sample.total,
            switched,
            notes: look.notes.clone(),
        });
        if let Some(sample) = look.sample {
            let engine = EngineKind::Livepatch;
            self.handle(Input::Tasks { engine, sample }, &clock::now());
        }
        look.notes
    }

    /// Searches what the transition waits for if it may be no task.
    fn find_wait(&mut self, at: Duration, into: bool) {
        let sample = if self.model.may_be_held(at) {
            let searched = into.then(|| self.waits.search(&mut self.tasks, &self.roots, at));
            let Some(sample) = searched.flatten() else {
                return;
            };
            sample
        } else {
            self.waits.forget();
            WaitSample::default()
        };
        self.handle(Input::Wait(sample), &clock::now());
        let wait = self.model.wait(&clock::now());
        if wait.as_ref().map(waits_for) != self.reported.as_ref().map(waits_for) {
            if let Some((patch, wait)) = &wait {
                tracing::warn!(
                    patch,
                    reason = wait.reason.name(),
                    callback = wait.callback.map(CallbackKind::name),
                    function = wait.function,
                    tid = wait.tid,
                    task = wait.comm,
                    cpu = wait.holder.as_ref().map(|holder| holder.cpu),
                    held_by = wait.holder.as_ref().map(|holder| holder.tid),
                    "the transition waits, but not for a task to switch"
                );
            } else {
                tracing::info!("the transition no longer waits for that");
            }
            self.reported = wait;
        }
    }

    /// Looks at the tasks that the other engines have left; returns what could
    /// not be read, one sentence each.
    fn look_at_others(&mut self) -> Vec<String> {
        let others = self.model.others();
        let other_engines::OtherEnginesSample { samples, notes } =
            other_engines::look(others, &self.roots);
        for (engine, sample) in samples {
            self.handle(Input::Tasks { engine, sample }, &clock::now());
        }
        notes
    }

    /// Reads the counters, then attaches the next ones. Not the other way
    /// round: locating functions takes time, and the old counts would run into
    /// the new.
    pub(super) fn count(&mut self) {
        let is_held = self.may_be_held();
        let (Some(calls), Ok(iterator)) = (&mut self.calls, self.tasks.iterator()) else {
            return;
        };
        let doubted = self.model.doubted_functions();
        if let Some(reading) = calls.read(&self.roots, &doubted) {
            tracing::trace!(?reading, "calls");
            let ended = self.model.handle(Input::Calls(reading), &clock::now());
            self.ended.extend(ended);
        }
        // Whoever waits for an end is to know it first.
        self.is_attaching_late = !self.ended.is_empty();
        if self.is_attaching_late {
            return;
        }
        let young = self.model.in_transition().is_some()
            && self.model.known_for(Clocks::now().boot) < COUNTED_AFTER;
        if !young && !is_held && !self.model.is_settling(Clocks::now().boot) {
            calls.plan(iterator, &self.roots, &in_force(self.model.patches()));
            calls.attach_some(iterator);
            calls.stay_in_front(iterator, &self.roots);
        }
    }

    /// Attaching may have to wait for the same as such a transition, and meanwhile
    /// the loop would not answer.
    fn may_be_held(&self) -> bool {
        self.model.may_be_held(Clocks::now().boot)
    }

    /// When to read the counters again, if anything is counted.
    pub(super) fn count_after(&self) -> Option<Duration> {
        let calls = self.calls.as_ref()?;
        if self.is_attaching_late || calls.is_attaching() && !self.may_be_held() {
            return Some(BETWEEN_ATTACHING);
        }
        let is_due = calls.is_counting() || calls.is_attaching();
        let every = is_due.then_some(COUNT_EVERY)?;
        Some(self.model.recount().map_or(every, |soon| soon.min(every)))
    }

    /// Keeps the result of a check of a patch.
    pub(super) fn note_check(&mut self, report: Box<CheckReport>) {
        self.handle(Input::Check(report), &clock::now());
    }

    /// The transitions that have ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<PastTransition> {
        std::mem::take(&mut self.ended)
    }

    /// Records that the kernel log can no longer be read.
    pub(super) fn lose_log(&mut self, why: &str) {
        self.note(why);
        let mut probes = self.model.facts().probes.clone();
        LogSource::lost(&mut probes);
        self.handle(Input::Probes(probes), &clock::now());
    }

    fn handle(&mut self, input: Input, now: &Moment) {
        let ended = self.model.handle(input, now);
        self.ended.extend(ended);
    }

    /// What the model knows.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The present snapshot.
    #[must_use]
    pub fn snapshot(&self, thresholds: &Thresholds) -> Snapshot {
        self.snapshot_at(&clock::now(), thresholds)
    }

    /// The snapshot at `now`.
    #[must_use]
    pub(super) fn snapshot_at(&self, now: &Moment, thresholds: &Thresholds) -> Snapshot {
        self.model.snapshot(now, thresholds)
    }
}
