//! Prepares an observer: what is loaded and attached for a single look, for
//! looks at all tasks, and for following.

use std::time::{Duration, Instant};

use crate::{
    error::Error,
    kernel::{
        Roots,
        host::{Clocks, Host},
    },
    model::{
        HostFacts, Input, Model, ObservedFact, Snapshot,
        calls::{NO_BPF, RECORDED_TREE},
        evidence::Traits,
        snapshot::Probe,
    },
    observe::{
        call_source::CallSource, clock, log_source::LogSource, reading::first_reading,
        stop_source::StopSource, task_pace::Demand, task_source::TaskSource,
        wait_source::WaitSource, watch_list::WatchList,
    },
    probe::{
        BpfLog, CallCounters, EventRing, Hooks, LoadOptions, ProbeError, StopRing, TaskIterator,
        load_hooks, load_iterator_and_counters, load_task_iterator,
    },
};

use super::Observer;

/// The kernel's tries are a second apart, rounded to whole seconds.
const VERDICTS_WITHIN: Duration = Duration::from_millis(2100);

/// Between two readings while they are awaited: each reads all tasks.
const BETWEEN_READINGS: Duration = Duration::from_millis(100);

/// What reports events.
pub struct EventSources {
    pub ring: EventRing,
    pub log: Option<BpfLog>,
    /// Reports stops of the machine; `None` where they are not hooked.
    pub stops: Option<StopRing>,
    /// Whether the hooks report beginnings and ends of transitions.
    pub follows: bool,
}

/// What is hooked in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooking {
    /// Nothing: the kernel log and sysfs report transitions. For a command that
    /// is to end at once, because detaching takes the kernel up to a second.
    #[default]
    Nothing,
    /// Transitions, and calls.
    Calls,
}

/// The note while hooks are being attached, which waits for tasks of the kernel
/// (`synchronize_rcu_tasks`, kernel/rcu/tasks.h): a busy one can delay it.
const ATTACHING: &str = "lpwatch is attaching its hooks. Until then the kernel log and sysfs \
    report transitions, tasks are read from /proc, and calls are not counted.";

/// Whether a daemon is still attaching its hooks.
#[must_use]
pub fn is_attaching(snapshot: &Snapshot) -> bool {
    snapshot.notes.iter().any(|note| note == ATTACHING)
}

/// What was loaded and attached, or why it was not.
pub struct LoadedBpf {
    iterator: Result<TaskIterator, String>,
    hooks: Option<Hooks>,
    note: Option<String>,
    /// When the last hook was attached, since boot.
    at: Duration,
}

impl LoadedBpf {
    /// Loads and attaches what the options ask for, as far as this host allows it.
    /// It can take as long as the kernel's own tasks are busy.
    #[must_use]
    pub fn load(options: &ObserverOptions) -> Self {
        let view = first_reading(&options.roots);
        let in_transition = view.is_ok_and(|view| view.in_transition().is_some());
        let loaded = bpf_or_why_not(options, || {
            if options.hooks == Hooking::Nothing {
                let (iterator, _) = load_task_iterator(&options.roots, false)?;
                return Ok((iterator, None));
            }
            let (iterator, hooks) = load_hooks(&options.roots, &options.load, in_transition)?;
            Ok((iterator, Some(hooks)))
        });
        let (iterator, hooks, note) = match loaded {
            Ok((iterator, hooks)) => (Ok(iterator), hooks, None),
            Err(note) => (Err(no_bpf(options, note.as_deref())), None, note),
        };
        Self {
            iterator,
            hooks,
            note,
            at: Clocks::now().boot,
        }
    }
}

/// How a host is observed.
#[derive(Clone, Debug, Default)]
pub struct ObserverOptions {
    pub roots: Roots,
    /// Read sysfs and /proc only.
    pub no_bpf: bool,
    pub load: LoadOptions,
    /// Whether a daemon observes.
    pub daemon: bool,
    pub hooks: Hooking,
    /// Functions to count besides those of the patches.
    pub watch: WatchList,
}

impl Observer {
    /// Prepares a single look: no hooks; earlier events come from the kernel
    /// log.
    ///
    /// # Errors
    /// [`Error::NoLivepatch`] where there is no patching system.
    pub fn single_look(options: &ObserverOptions) -> Result<Self, Error> {
        let mut view = first_reading(&options.roots)?;
        loop {
            let in_transition = view.in_transition().is_some();
            let mut observer = Self::for_one_look(options, in_transition);
            let changed = observer.read_history();
            if changed.is_some_and(|at| at > view.read_at) {
                view = observer.read_patches()?;
                // A transition that began meanwhile needs what was left out.
                if !in_transition && view.in_transition().is_some() {
                    continue;
                }
            }
            observer.reconcile(view, Demand::Asked);
            observer.await_verdicts()?;
            return Ok(observer);
        }
    }

    /// Tasks are read only in a transition: loading programs and searching the
    /// kernel's symbols for them takes longer than the rest of a look.
    fn for_one_look(options: &ObserverOptions, in_transition: bool) -> Self {
        let loaded = if in_transition {
            bpf_or_why_not(options, || load_task_iterator(&options.roots, true))
        } else {
            Err(None)
        };
        let (iterator, probes, note) = match loaded {
            Ok((iterator, probes)) => (Some(iterator), probes, None),
            Err(note) => (None, Vec::new(), note),
        };
        Self::new(options, iterator, probes, note, None)
    }

    /// Prepares looks at all tasks outside a transition: no hooks and no log,
    /// and counters of which none is attached.
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

    /// Waits until the kernel has checked each task that is left: it checks all
    /// of them about once a second.
    fn await_verdicts(&mut self) -> Result<(), Error> {
        if !self.tasks.has_verdicts() {
            return Ok(());
        }
        let deadline = Instant::now() + VERDICTS_WITHIN;
        while self.model.lacks_answers() && Instant::now() < deadline {
            std::thread::sleep(BETWEEN_READINGS);
            self.refresh()?;
        }
        Ok(())
    }

    /// Prepares to follow, with hooks where this host allows them.
    ///
    /// # Errors
    /// [`Error::NoLivepatch`] where there is no patching system.
    pub fn following(options: &ObserverOptions) -> Result<(Self, Option<EventSources>), Error> {
        let mut observer = Self::before_hooks(options)?;
        let sources = observer.adopt(LoadedBpf::load(options));
        Ok((observer, sources))
    }

    /// The same without what BPF offers, for as long as that is being loaded.
    ///
    /// # Errors
    /// As [`Self::following`].
    pub fn before_hooks(options: &ObserverOptions) -> Result<Self, Error> {
        first_reading(&options.roots)?;
        let mut observer = Self::new(options, None, Vec::new(), None, None);
        observer.read_history();
        Ok(observer)
    }

    /// Takes over what was loaded; returns the event sources.
    pub(in crate::observe) fn adopt(&mut self, loaded: LoadedBpf) -> Option<EventSources> {
        let LoadedBpf {
            iterator,
            hooks,
            note,
            at,
        } = loaded;
        self.note_attaching(false);
        self.lasting_notes.extend(note);
        let not_counted = iterator.as_ref().err().cloned();
        self.tasks = TaskSource::new(iterator);
        self.last_look = None;
        let hooked = hooks.as_ref().is_some_and(Hooks::follow_transitions);
        let mut probes = hooks
            .as_ref()
            .map(|hooks| hooks.probes.clone())
            .unwrap_or_default();
        let logged = self.model.facts().probes.iter();
        let logged = logged
            .filter(|probe| probe.fact == ObservedFact::Log)
            .cloned();
        probes.push(self.tasks.probe());
        probes.extend(logged);
        let now = clock::now();
        self.handle(
            Input::Bpf {
                source: self.tasks.source(),
                verdicts: self.tasks.has_verdicts(),
                hooks_since: hooked.then_some(at),
                not_counted,
            },
            &now,
        );
        self.handle(Input::Probes(probes), &now);
        self.handle(Input::Notes(self.lasting_notes.clone()), &now);
        hooks.map(|hooks| self.take_counters(hooks))
    }

    /// Records whether BPF programs are being loaded and attached.
    pub(in crate::observe) fn note_attaching(&mut self, is_attaching: bool) {
        self.note_if(is_attaching && self.may_attach, ATTACHING);
    }

    fn new(
        options: &ObserverOptions,
        iterator: Option<TaskIterator>,
        mut probes: Vec<Probe>,
        note: Option<String>,
        hooks_since: Option<Duration>,
    ) -> Self {
        let host = Host::of(&options.roots);
        let iterator = iterator.ok_or_else(|| no_bpf(options, note.as_deref()));
        let is_tried = note.is_some() || !may_use_bpf(options);
        let not_counted = iterator.as_ref().err().filter(|_| is_tried).cloned();
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
                // Read with the first frame of BPF on a stack.
                bpf_frames_reliable: false,
                verdicts: tasks.has_verdicts(),
                is_x86: cfg!(target_arch = "x86_64"),
            },
            not_counted,
        };
        Self {
            roots: options.roots.clone(),
            tasks,
            last_look: None,
            waits: WaitSource::default(),
            reported: None,
            log,
            model: Model::new(facts, hooks_since),
            ended: Vec::new(),
            calls: None,
            is_attaching_late: false,
            stops: StopSource::default(),
            watch: options.watch.clone(),
            may_attach: may_use_bpf(options),
            watch_notes: Vec::new(),
            lasting_notes: notes,
        }
    }

    /// Keeps the counters; returns the event sources.
    fn take_counters(&mut self, hooks: Hooks) -> EventSources {
        let followed = hooks.follow_transitions();
        let Hooks {
            ring,
            log,
            counters,
            shares_functions,
            stops,
            ..
        } = hooks;
        // Without the epochs of livepatch it is unknown which code a call ran.
        if followed {
            self.calls = Some(CallSource::new(counters, shares_functions));
            self.rewatch();
        }
        if stops.is_some() {
            self.handle(Input::StopsHooked, &clock::now());
        }
        EventSources {
            ring,
            log,
            stops,
            follows: followed,
        }
    }

    /// Applies what the kernel log still has of the time before. Returns the same
    /// as [`Self::read_log`].
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
}

/// Runs `load` unless BPF is ruled out; otherwise returns the note to show, if
/// any.
fn bpf_or_why_not<T>(
    options: &ObserverOptions,
    load: impl FnOnce() -> Result<T, ProbeError>,
) -> Result<T, Option<String>> {
    if !may_use_bpf(options) {
        return Err(None);
    }
    load().map_err(|error| Some(format!("{WITHOUT_BPF}{error}.")))
}

fn may_use_bpf(options: &ObserverOptions) -> bool {
    !options.no_bpf && options.roots.is_live()
}

const WITHOUT_BPF: &str = "Without BPF, tasks are read from /proc: ";

/// Why BPF is not used, given the note on the attempt.
fn no_bpf(options: &ObserverOptions, note: Option<&str>) -> String {
    if options.no_bpf {
        return NO_BPF.to_owned();
    }
    if !options.roots.is_live() {
        return RECORDED_TREE.to_owned();
    }
    match note.and_then(|note| note.strip_prefix(WITHOUT_BPF)) {
        Some(error) => format!("BPF is not used: {}", error.trim_end_matches('.')),
        None => "BPF is not used".to_owned(),
    }
}
