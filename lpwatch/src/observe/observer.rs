//! Kernel, probes and model put together: one host, looked at.

use std::time::{Duration, Instant};

use crate::{
    engine,
    error::Error,
    kernel::{
        Roots, ftrace,
        host::{Clocks, Host},
        kallsyms,
    },
    model::{
        Event, EventKind, HostFacts, Model, Moment, Snapshot, SystemView, Thresholds,
        check::CheckReport,
        evidence::Traits,
        snapshot::{PastTransition, Probe},
        stops::Span,
    },
    probe::{
        BpfLog, CallCounters, EventRing, Hooks, LoadOptions, ProbeError, StopRing, TaskIterator,
        load_hooks, load_iterator_and_counters, load_task_iterator,
    },
};

use super::{
    call_source::CallSource,
    folder_watch::FolderWatch,
    log_source::LogSource,
    other_engines,
    reading::first_reading,
    stop_source::StopSource,
    task_source::{Looked, TaskSource},
    watch_list::{Resolved, WatchList},
};

/// The kernel's tries are a second apart, rounded to whole seconds.
const VERDICTS_WITHIN: Duration = Duration::from_millis(2100);

/// From then on a transition is looked into task by task.
const STAYING: Duration = Duration::from_secs(2);

/// From then on counters are attached in a transition: most are over before,
/// and need their CPUs.
const COUNTED_AFTER: Duration = Duration::from_secs(1);

/// How often counters are read.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Between two goes at attaching counters, for events to be heard.
const BETWEEN_ATTACHING: Duration = Duration::from_millis(5);

/// What is said while no call can be redirected.
const FTRACE_OFF: &str = "DANGER: ftrace is switched off (kernel.ftrace_enabled=0): no call is \
    redirected to new code, no live patch can be loaded, and calls are not counted. Switch it on: \
    sysctl kernel.ftrace_enabled=1";

/// What tells of events.
pub struct Told {
    pub ring: EventRing,
    pub log: Option<BpfLog>,
    /// Who stops the machine; `None` where that is not hooked.
    pub stops: Option<StopRing>,
    /// Whether beginnings and ends of transitions are told.
    pub follows: bool,
}

/// What the kernel's functions are hooked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooking {
    /// Nothing: the kernel log and sysfs tell of transitions. For a command that
    /// is to end at once, as taking hooks off takes the kernel up to a second.
    #[default]
    Nothing,
    /// Transitions, and calls.
    Calls,
}

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct ObserverOptions {
    pub roots: Roots,
    /// Read sysfs and /proc only.
    pub no_bpf: bool,
    pub load: LoadOptions,
    /// Whether a daemon asks.
    pub daemon: bool,
    pub hooks: Hooking,
    /// Functions to count besides those of the patches.
    pub watch: WatchList,
}

/// One host, looked at.
pub struct Observer {
    roots: Roots,
    tasks: TaskSource,
    pub(super) log: Option<LogSource>,
    model: Model,
    calls: Option<CallSource>,
    stops: StopSource,
    watch: WatchList,
    /// What `watch` names that cannot be read.
    watch_notes: Vec<String>,
    /// Sentences that hold as long as lpwatch runs.
    lasting_notes: Vec<String>,
}

impl Observer {
    /// Gets ready for a single look: no hooks, what happened before from the
    /// kernel log.
    ///
    /// # Errors
    /// [`Error::NoLivepatch`] where there is nothing to look at.
    pub fn single_look(options: &ObserverOptions) -> Result<Self, Error> {
        let mut view = first_reading(&options.roots)?;
        let in_transition = view.in_transition().is_some();
        let load = || load_task_iterator(&options.roots, in_transition);
        let (iterator, probes, note) = match bpf_or_why_not(options, load) {
            Ok((iterator, probes)) => (Some(iterator), probes, None),
            Err(note) => (None, Vec::new(), note),
        };
        let mut observer = Self::new(options, iterator, probes, note, None);
        let changed = observer.read_history();
        if changed.is_some_and(|at| at > view.read_at) {
            view = observer.read_patches()?;
        }
        observer.mend(view, true);
        observer.await_verdicts()?;
        Ok(observer)
    }

    /// Gets ready for looks at all tasks, in no transition: no hooks, no log; and
    /// counters, none of which is attached.
    #[must_use]
    pub fn for_looks(options: &ObserverOptions) -> (Self, Option<CallCounters>) {
        let load = || load_iterator_and_counters(&options.roots);
        let (iterator, counters, note) = match bpf_or_why_not(options, load) {
            Ok((iterator, counters)) => (Some(iterator), Some(counters), None),
            Err(note) => (None, None, note),
        };
        let observer = Self::new(options, iterator, Vec::new(), note, None);
        (observer, counters)
    }

    /// The BPF side, where there is one.
    pub fn iterator(&mut self) -> Option<&mut TaskIterator> {
        self.tasks.iterator()
    }

    /// Looks into every task there is.
    pub fn look_at_all(&mut self) -> Looked {
        self.tasks.look_at_all(&self.roots, Clocks::now().boot)
    }

    /// Gives the kernel, which looks at all tasks about once a second, the time
    /// to answer once about each task that is left.
    fn await_verdicts(&mut self) -> Result<(), Error> {
        if !self.tasks.has_verdicts() {
            return Ok(());
        }
        let deadline = Instant::now() + VERDICTS_WITHIN;
        while self.model.lacks_answers() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            self.refresh()?;
        }
        Ok(())
    }

    /// Gets ready to follow: with hooks where this host allows them.
    ///
    /// # Errors
    /// [`Error::NoLivepatch`] where there is nothing to follow.
    pub fn following(options: &ObserverOptions) -> Result<(Self, Option<Told>), Error> {
        let in_transition = first_reading(&options.roots)?.in_transition().is_some();
        let loaded = bpf_or_why_not(options, || {
            if options.hooks == Hooking::Nothing {
                let (iterator, _) = load_task_iterator(&options.roots, false)?;
                return Ok((iterator, None));
            }
            let (iterator, hooks) = load_hooks(&options.roots, &options.load, in_transition)?;
            Ok((iterator, Some(hooks)))
        });
        let (iterator, hooks, note) = match loaded {
            Ok((iterator, hooks)) => (Some(iterator), hooks, None),
            Err(note) => (None, None, note),
        };
        let probes = hooks
            .as_ref()
            .map(|hooks| hooks.probes.clone())
            .unwrap_or_default();
        let hooked = hooks.as_ref().is_some_and(Hooks::follow_transitions);
        let since = hooked.then(|| Clocks::now().boot);
        let mut observer = Self::new(options, iterator, probes, note, since);
        observer.read_history();
        let told = hooks.map(|hooks| observer.take_counters(hooks));
        Ok((observer, told))
    }

    fn new(
        options: &ObserverOptions,
        iterator: Option<TaskIterator>,
        mut probes: Vec<Probe>,
        note: Option<String>,
        hooks_since: Option<Duration>,
    ) -> Self {
        let host = Host::of(&options.roots);
        let tasks = TaskSource::new(iterator);
        let mut notes: Vec<String> = note.into_iter().collect();
        let log = options.roots.is_live().then(LogSource::open).transpose();
        let log = log.unwrap_or_else(|error| {
            notes.push(format!("The kernel log is not read: {error}."));
            None
        });
        probes.push(tasks.probe());
        probes.push(LogSource::probe(log.is_some()));
        let facts = HostFacts {
            host: host.node,
            kernel: host.release,
            source: tasks.source(),
            daemon: options.daemon,
            probes,
            notes: notes.clone(),
            traits: Traits {
                bpf_frames_reliable: has_bpf_frames(&options.roots),
                verdicts: tasks.has_verdicts(),
            },
        };
        Self {
            roots: options.roots.clone(),
            tasks,
            log,
            model: Model::new(facts, hooks_since),
            calls: None,
            stops: StopSource::default(),
            watch: options.watch.clone(),
            watch_notes: Vec::new(),
            lasting_notes: notes,
        }
    }

    /// Keeps the counters; gives what tells of events.
    fn take_counters(&mut self, hooks: Hooks) -> Told {
        let followed = hooks.follow_transitions();
        let Hooks {
            ring,
            log,
            counters,
            shares_functions,
            stops,
            ..
        } = hooks;
        // Without the turns of livepatch it cannot be told what a call ran.
        if followed {
            self.calls = Some(CallSource::new(counters, shares_functions));
            self.rewatch();
        }
        if stops.is_some() {
            self.model.stops_are_told(now());
        }
        Told {
            ring,
            log,
            stops,
            follows: followed,
        }
    }

    /// Reads what is to be watched: files may have changed.
    pub(super) fn rewatch(&mut self) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        let Resolved { functions, notes } = self.watch.resolve();
        for note in notes.iter().filter(|note| !self.watch_notes.contains(note)) {
            tracing::warn!("{note}");
        }
        calls.ask(functions);
        self.watch_notes = notes;
    }

    /// Tells when what is to be watched changes; `None` if no file is.
    pub(super) fn watch_files(&self) -> Option<FolderWatch> {
        let paths = self.watch.paths();
        if self.calls.is_none() || paths.is_empty() {
            return None;
        }
        let watch = FolderWatch::new(&paths);
        watch
            .inspect_err(|error| tracing::warn!(%error, "changes of watched files are not seen"))
            .ok()
    }

    /// Watches the folders as they are now.
    pub(super) fn rewatch_files(&self, folders: &FolderWatch) {
        folders.look(&self.watch.paths());
    }

    /// Takes in what the kernel log still says of the time before; gives what
    /// [`Self::read_log`] does.
    fn read_history(&mut self) -> Option<Duration> {
        let mut log = self.log.take()?;
        match self.read_log(&mut log) {
            Ok(changed) => {
                self.log = Some(log);
                changed
            }
            Err(error) => {
                self.lose_log(&format!("The kernel log is not read: {error}."));
                None
            }
        }
    }

    /// Takes in what the hooks told, and how much of it was lost so far.
    pub(super) fn take(&mut self, events: Vec<Event>, lost: u64) {
        let now = now();
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
            self.model.apply(event, &now);
        }
        self.model.note_lost(lost);
    }

    /// Takes in what the CPUs told of stops, and how much of it was lost so far.
    pub(super) fn take_stops(&mut self, spans: &[Span], lost: u64) {
        for stop in self.stops.take(spans, &self.roots) {
            tracing::debug!(?stop, "the machine was stopped");
            self.model.stopped(stop);
        }
        self.model.note_stops_lost(lost);
    }

    /// How soon stops are to be asked for, whatever is told.
    pub(super) fn stops_after(&self) -> Option<Duration> {
        self.stops.wait()
    }

    /// Takes in what the kernel log says; gives when, since boot, the last line
    /// was written of what can have changed the state.
    pub(super) fn read_log(&mut self, log: &mut LogSource) -> Result<Option<Duration>, Error> {
        let clocks = Clocks::now();
        let events = log.drain(&clocks)?;
        let ftrace = ftrace::is_enabled(&self.roots);
        self.model.note_still(ftrace == Some(false));
        let now = moment(&clocks);
        let mut changed = None;
        for event in events {
            tracing::debug!(?event, "log line");
            if !matches!(event.kind, EventKind::Signaling) {
                changed = Some(event.at);
            }
            self.model.apply(event, &now);
        }
        Ok(changed)
    }

    /// Adds a sentence that holds from now on.
    pub(super) fn note(&mut self, text: &str) {
        self.lasting_notes.push(text.to_owned());
        self.model.facts.notes.push(text.to_owned());
    }

    /// Reads sysfs, and in a transition looks at all tasks.
    ///
    /// # Errors
    /// [`Error`] if sysfs cannot be read.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let view = self.read_patches()?;
        self.mend(view, true);
        Ok(())
    }

    /// Reads sysfs alone.
    pub(super) fn read_patches(&self) -> Result<SystemView, Error> {
        Ok(engine::read_all(&self.roots)?)
    }

    /// Mends the state by a reading, and in a transition looks at all tasks;
    /// `into` each that is left if asked to, or if they stay.
    ///
    /// Most transitions are over in a second or two. Reading stacks and symbols
    /// would take their CPUs just when the kernel needs them.
    pub(super) fn mend(&mut self, view: SystemView, into: bool) {
        let mut notes = self.lasting_notes.clone();
        notes.extend(view.notes.iter().cloned());
        self.model.observe(view, &now());
        notes.extend(other_engines::look(&mut self.model, &self.roots));
        notes.extend(self.watch_notes.iter().cloned());
        if let Some(direction) = self.model.in_transition() {
            let at = Clocks::now().boot;
            let into = into || self.model.known_for(at) >= STAYING;
            let look = self.tasks.look(&self.roots, direction, at, into);
            if let Some(sample) = look.sample {
                self.model.sample(sample, &now());
            }
            notes.extend(look.notes);
        } else {
            self.tasks.forget_symbols();
        }
        if ftrace::is_enabled(&self.roots) == Some(false) {
            notes.push(FTRACE_OFF.to_owned());
        }
        self.model.facts.notes = notes;
        self.count();
    }

    /// Reads the counters, then attaches what is to be counted from now on:
    /// finding functions takes its time, and counts of long ago would run into
    /// those of now.
    pub(super) fn count(&mut self) {
        let (Some(calls), Some(iterator)) = (&mut self.calls, self.tasks.iterator()) else {
            return;
        };
        let doubted = self.model.doubted_functions();
        if let Some(reading) = calls.read(&self.roots, &doubted) {
            tracing::trace!(?reading, "calls");
            self.model.count(reading);
        }
        let young = self.model.in_transition().is_some()
            && self.model.known_for(Clocks::now().boot) < COUNTED_AFTER;
        if !young && !self.model.is_settling() {
            calls.plan(iterator, &self.roots, self.model.patches());
            calls.attach_some(iterator);
            calls.stay_in_front(iterator, &self.roots);
        }
    }

    /// How soon the counters are to be read again, if anything is counted.
    pub(super) fn count_after(&self) -> Option<Duration> {
        let calls = self.calls.as_ref()?;
        if calls.is_attaching() {
            return Some(BETWEEN_ATTACHING);
        }
        let every = calls.is_counting().then_some(COUNT_EVERY)?;
        Some(self.model.recount().map_or(every, |soon| soon.min(every)))
    }

    /// Keeps what came of checking a patch.
    pub(super) fn note_check(&mut self, report: &CheckReport) {
        self.model.note_check(report);
    }

    /// The transitions that have ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<PastTransition> {
        self.model.take_ended()
    }

    /// The kernel log can no longer be read.
    pub(super) fn lose_log(&mut self, why: &str) {
        self.note(why);
        LogSource::lost(&mut self.model.facts.probes);
    }

    /// What the model knows.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// All that is known now.
    #[must_use]
    pub fn snapshot(&self, thresholds: &Thresholds) -> Snapshot {
        self.model.snapshot(&now(), thresholds)
    }
}

/// Whether this kernel's unwinder knows the frames of BPF programs and
/// trampolines: since 6.19 (ca45c84afb8c, 01bc3b6db18d), and wherever these
/// were backported.
fn has_bpf_frames(roots: &Roots) -> bool {
    const MARKER: &str = "bpf_has_frame_pointer";
    kallsyms::find(roots, &[MARKER]).is_ok_and(|found| found.addresses.contains_key(MARKER))
}

/// Runs `load` unless BPF is ruled out; what to say if there is no BPF.
fn bpf_or_why_not<T>(
    options: &ObserverOptions,
    load: impl FnOnce() -> Result<T, ProbeError>,
) -> Result<T, Option<String>> {
    if options.no_bpf || !options.roots.is_live() {
        return Err(None);
    }
    load().map_err(|error| Some(format!("Without BPF, tasks are read from /proc: {error}.")))
}

/// This moment on both clocks.
#[must_use]
pub fn now() -> Moment {
    moment(&Clocks::now())
}

fn moment(clocks: &Clocks) -> Moment {
    Moment {
        boot: clocks.boot,
        wall: clocks.wall,
    }
}
