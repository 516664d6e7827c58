//! The state machine: [`Model::handle`] takes all inputs, and a
//! [`Snapshot`](super::Snapshot) is the output.
//!
//! Events are exact but can be lost; readings of sysfs are complete but can be older
//! than the last event. So events change the state, and newer readings correct it.

mod course;
mod elsewhere;
mod events;
mod readings;
mod reports;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use super::{
    Direction, EngineKind, HostFacts, Input, ModuleRefusals, Moment, PatchView, TransitionHold,
    calls::{CallTracker, FunctionId},
    check::Checks,
    running::Running,
    snapshot::{PastTransition, SwitchedBy},
    stops::StopTracker,
};

use course::Course;
use reports::EventReports;

/// The state machine.
#[derive(Debug)]
pub struct Model {
    facts: HostFacts,
    /// Since when hooks report every transition; later log lines repeat these
    /// reports.
    hooks_since: Option<Duration>,
    /// The hooks do not fire, because ftrace is switched off.
    hooks_disabled: bool,
    patches: Vec<PatchView>,
    /// Facts from hooks about patches whose sysfs lacks the file.
    known_replace: HashMap<String, bool>,
    /// Livepatch's own.
    course: Course,
    /// Which of its begins and ends were reported.
    reports: EventReports,
    /// That of each other engine which could be read.
    others: BTreeMap<EngineKind, Course>,
    past: VecDeque<PastTransition>,
    /// Those of them that the input being handled has ended.
    ended: Vec<PastTransition>,
    complaints: Vec<(Duration, String)>,
    /// The modules that the kernel refuses to load because of a patch.
    refusals: ModuleRefusals,
    events_lost: u64,
    /// Tasks switched, by kind, in the last sample.
    switched: SwitchedBy,
    /// The calls of old and new code.
    calls: CallTracker,
    /// The forecasts of the checks.
    checks: Checks,
    /// How long the machine was stopped.
    stops: StopTracker,
}

impl Model {
    #[must_use]
    pub fn new(facts: HostFacts, hooks_since: Option<Duration>) -> Self {
        Self {
            facts,
            hooks_since,
            hooks_disabled: false,
            patches: Vec::new(),
            known_replace: HashMap::new(),
            course: Course::new(EngineKind::Livepatch),
            reports: EventReports::default(),
            others: BTreeMap::new(),
            past: VecDeque::new(),
            ended: Vec::new(),
            complaints: Vec::new(),
            refusals: ModuleRefusals::default(),
            events_lost: 0,
            switched: SwitchedBy::default(),
            calls: CallTracker::default(),
            checks: Checks::default(),
            stops: StopTracker::default(),
        }
    }

    /// Handles `input`, known at `now`; returns the transitions that it ends, oldest
    /// first.
    pub fn handle(&mut self, input: Input, now: &Moment) -> Vec<PastTransition> {
        match input {
            Input::Event(event) => self.apply(event, now),
            Input::UnwindsBpf(knows) => self.facts.traits.bpf_frames_reliable = knows,
            Input::Bpf {
                source,
                verdicts,
                hooks_since,
                not_counted,
            } => {
                self.facts.source = source;
                self.facts.not_counted = not_counted;
                self.facts.traits.verdicts = verdicts;
                self.hooks_since = hooks_since;
            }
            Input::EventsLost(lost) => self.note_lost(lost),
            Input::HooksDisabled(disabled) => self.hooks_disabled = disabled,
            Input::Reading(view) => self.observe(view, now),
            Input::Tasks { engine, sample } => self.sample(engine, sample, now),
            Input::Wait(sample) => self.note_wait(sample, now),
            Input::Calls(reading) => self.calls.read(reading),
            Input::StopsHooked => self.stops.begin(*now),
            Input::Stop(stop) => self.stops.note(stop),
            Input::StopsLost(lost) => self.stops.note_lost(lost),
            Input::Check(report) => self.checks.note(&report),
            Input::Probes(probes) => self.facts.probes = probes,
            Input::Notes(notes) => self.facts.notes = notes,
        }
        std::mem::take(&mut self.ended)
    }

    /// The host, and how it is read.
    #[must_use]
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// Whether a transition is in progress, as far as is known.
    #[must_use]
    pub fn in_transition(&self) -> Option<Direction> {
        self.course.running().map(|running| running.direction)
    }

    /// How long the current transition has been known; zero without one.
    #[must_use]
    pub fn known_for(&self, now: Duration) -> Duration {
        let running = self.course.running();
        running.map_or(Duration::ZERO, |running| {
            now.saturating_sub(running.first_seen.boot)
        })
    }

    /// Whether a task remains without an answer of the kernel.
    #[must_use]
    pub fn lacks_answers(&self) -> bool {
        self.course.running().is_some_and(Running::lacks_answers)
    }

    /// Whether sysfs does not show yet what a hook reported.
    #[must_use]
    pub fn is_settling(&self, now: Duration) -> bool {
        self.course.is_settling(now)
    }

    /// When the log reported an end that sysfs does not show yet: the kernel has a few
    /// instructions left to do.
    #[must_use]
    pub fn ending_since(&self) -> Option<Duration> {
        self.course.ending_since()
    }

    /// Whether a hook reported that all tasks have switched.
    #[must_use]
    pub fn have_all_switched(&self) -> bool {
        let running = self.course.running();
        running.is_some_and(|running| running.completing.is_some())
    }

    /// What livepatch's transition waits for if it is no task, and its patch.
    #[must_use]
    pub fn wait(&self, now: &Moment) -> Option<(String, TransitionHold)> {
        let running = self.course.running()?;
        Some((running.patch.clone(), running.waits_for(now)?))
    }

    /// Whether something other than a task may hold livepatch's transition.
    #[must_use]
    pub fn may_be_held(&self, now: Duration) -> bool {
        let hooked = self.hooks_since.is_some() && !self.hooks_disabled;
        let running = self.course.running();
        running.is_some_and(|running| running.may_be_held(now, hooked))
    }

    /// The engines other than livepatch, with the direction of a current transition.
    pub fn others(&self) -> impl Iterator<Item = (EngineKind, Option<Direction>)> {
        self.others
            .iter()
            .map(|(engine, course)| (*engine, course.running().map(|running| running.direction)))
    }

    /// Whether an engine other than livepatch has patches on this host. Such engines
    /// report few events, so they must be read repeatedly.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.others.values().any(Course::has_patches)
    }

    /// The patches as last read.
    #[must_use]
    pub fn patches(&self) -> &[PatchView] {
        &self.patches
    }

    /// When the counters should be read again, in case of doubt.
    #[must_use]
    pub fn recount(&self) -> Option<Duration> {
        self.calls.recheck()
    }

    /// Whether call counts wait for an event that may have been lost; another reading
    /// of sysfs decides.
    #[must_use]
    pub fn awaits_turn(&self) -> bool {
        self.calls.is_waiting()
    }

    /// The functions whose new code is not entered as expected.
    #[must_use]
    pub fn doubted_functions(&self) -> BTreeSet<FunctionId> {
        self.calls.doubted()
    }
}
