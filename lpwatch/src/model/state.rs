//! The state machine: events, readings and looks go in, a [`Snapshot`] comes
//! out.
//!
//! Events are exact but can be lost; readings of sysfs are complete but can be
//! older than the last event. So events move the state, and readings mend it
//! wherever they are newer.

mod course;
mod elsewhere;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use super::{
    Direction, EngineKind, Event, EventKind, EventSource, Moment, Outcome, PatchView, SystemView,
    TaskSample,
    calls::{CallsReading, FunctionId, Ledger, Turn},
    check::{CheckReport, Checks},
    evidence::Traits,
    running::Running,
    snapshot::{PastTransition, Probe, Source, SwitchedBy},
    stops::{Ledger as StopLedger, Stop},
    time::milliseconds,
};

use course::{Course, Reading};

/// Transitions remembered.
const PAST_TRANSITIONS: usize = 32;

/// How long the kernel's words stay eligible as the reason of a refusal.
const COMPLAINT_LIFE: Duration = Duration::from_secs(10);

/// What does not change while lpwatch runs.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub host: String,
    pub kernel: String,
    pub source: Source,
    pub daemon: bool,
    pub probes: Vec<Probe>,
    pub notes: Vec<String>,
    pub traits: Traits,
}

/// The state machine.
#[derive(Debug)]
pub struct Model {
    pub facts: HostFacts,
    /// From when on hooks tell of every transition; log lines after it repeat
    /// what the hooks said.
    hooks_since: Option<Duration>,
    /// They stand still: ftrace is switched off.
    hooks_still: bool,
    patches: Vec<PatchView>,
    /// What hooks told of patches whose sysfs lacks the file.
    known_replace: HashMap<String, bool>,
    /// Livepatch's own.
    course: Course,
    /// That of each other engine which could be read.
    others: BTreeMap<EngineKind, Course>,
    past: VecDeque<PastTransition>,
    /// Those of them that nobody has taken note of yet.
    ended: Vec<PastTransition>,
    complaints: Vec<(Duration, String)>,
    events_lost: u64,
    /// Tasks switched, by way, when lpwatch last looked.
    switched: SwitchedBy,
    /// Which code runs.
    calls: Ledger,
    /// What was foretold.
    checks: Checks,
    /// For how long the machine was stopped.
    stops: StopLedger,
}

impl Model {
    #[must_use]
    pub fn new(facts: HostFacts, hooks_since: Option<Duration>) -> Self {
        Self {
            facts,
            hooks_since,
            hooks_still: false,
            patches: Vec::new(),
            known_replace: HashMap::new(),
            course: Course::new(EngineKind::Livepatch),
            others: BTreeMap::new(),
            past: VecDeque::new(),
            ended: Vec::new(),
            complaints: Vec::new(),
            events_lost: 0,
            switched: SwitchedBy::default(),
            calls: Ledger::default(),
            checks: Checks::default(),
            stops: StopLedger::default(),
        }
    }

    /// Whether a transition is under way, as far as is known.
    #[must_use]
    pub fn in_transition(&self) -> Option<Direction> {
        self.course.running().map(|running| running.direction)
    }

    /// For how long the transition under way has been known; zero without one.
    #[must_use]
    pub fn known_for(&self, now: Duration) -> Duration {
        let running = self.course.running();
        running.map_or(Duration::ZERO, |running| {
            now.saturating_sub(running.first_seen.boot)
        })
    }

    /// Whether a task is left about which the kernel was not heard.
    #[must_use]
    pub fn lacks_answers(&self) -> bool {
        self.course.running().is_some_and(Running::lacks_answers)
    }

    /// Whether sysfs still has to catch up with what a hook reported.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.course.is_settling()
    }

    /// Notes how many events were lost so far; readings mend the state.
    pub fn note_lost(&mut self, lost: u64) {
        if lost > self.events_lost {
            self.course.note_lost();
        }
        self.events_lost = lost;
    }

    /// Takes in an event.
    pub fn apply(&mut self, event: Event, now: &Moment) {
        let Event { at, source, kind } = event;
        let moment = now.at(at);
        if source == EventSource::Log && kind.is_lifecycle() && self.is_repeated(at, &kind) {
            return;
        }
        let is_own = !matches!(kind, EventKind::Elsewhere { .. });
        if let Some(running) = self.course.running_mut().filter(|_| is_own) {
            running.last_heard = running.last_heard.max(at);
        }
        match kind {
            EventKind::Begun {
                patch,
                direction,
                replace,
                epoch,
            } => {
                if let Some(epoch) = epoch {
                    let patch = patch.clone();
                    let turn = Turn::Begun {
                        epoch,
                        patch,
                        direction,
                        replace,
                    };
                    self.calls.turn(turn, moment);
                }
                self.begun(patch, direction, replace, moment);
            }
            EventKind::Try {
                patch,
                direction,
                before,
            } => {
                if let Some(running) = self.course.running_or_found(patch, direction, moment) {
                    running.seen_at_it = true;
                    running.note_direction(direction);
                    running.note_tries(before, false);
                }
            }
            EventKind::Complete {
                patch,
                direction,
                before,
                epoch,
            } => {
                if let Some(epoch) = epoch {
                    self.calls.turn(Turn::Ended { epoch, direction }, moment);
                }
                if let Some(running) = self.course.running_or_found(patch, direction, moment) {
                    running.note_direction(direction);
                    if !running.turns.cancelled {
                        running.note_tries(before, true);
                    }
                }
                let delay = (source == EventSource::Hook).then(|| now.since(&moment));
                self.finish(moment, None, delay);
            }
            EventKind::Reversed { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.reverse(Some(moment));
                }
            }
            EventKind::Forced { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.turns.forced = true;
                }
            }
            EventKind::Cancelled { patch } => {
                if let Some(running) = self.course.running_or_found(patch, None, moment) {
                    running.turns.cancelled = true;
                }
            }
            EventKind::Refused { patch, errno } => self.refused(patch, errno, moment, now),
            EventKind::Complaint { patch, text } => self.complained(patch.as_deref(), text, moment),
            EventKind::Signaling => self.signaling(),
            EventKind::ObjectChanged | EventKind::ModuleChanged { .. } => {}
            EventKind::Elsewhere { engine, what } => self.elsewhere(engine, what, moment),
        }
    }

    /// Whether a log line at `at` repeats what a hook told.
    fn is_repeated(&self, at: Duration, kind: &EventKind) -> bool {
        // An end that was told while the last hooks were being attached.
        let told = matches!(kind, EventKind::Complete { patch: Some(patch), .. }
            if self.course.is_ending(patch));
        told || self.hooks_tell(at)
    }

    /// Whether the hooks stand still for now, so that the log alone tells.
    pub fn note_still(&mut self, still: bool) {
        self.hooks_still = still;
    }

    fn hooks_tell(&self, at: Duration) -> bool {
        !self.hooks_still && self.hooks_since.is_some_and(|since| at >= since)
    }

    fn begun(&mut self, patch: String, direction: Direction, replace: Option<bool>, at: Moment) {
        if let Some(replace) = replace {
            self.known_replace.insert(patch.clone(), replace);
        }
        let before = self.course.begin(patch, direction, at, self.switched);
        self.remember_ended(before, at);
    }

    fn finish(&mut self, at: Moment, outcome: Option<Outcome>, delay: Option<Duration>) {
        let ended = self.course.finish(at, outcome, delay);
        self.remember_ended(ended, at);
    }

    fn remember_ended(&mut self, ended: Option<PastTransition>, at: Moment) {
        let Some(mut past) = ended else { return };
        if past.outcome == Outcome::Cancelled {
            past.message = self.take_complaints(at.boot);
        }
        self.remember(past);
    }

    fn remember(&mut self, mut past: PastTransition) {
        let checks = &self.checks;
        past.check = past
            .patch
            .as_deref()
            .and_then(|patch| checks.of(patch))
            .cloned();
        past.stopped = self.stops.during(&past);
        self.past.truncate(PAST_TRANSITIONS - 1);
        self.ended.push(past.clone());
        self.past.push_front(past);
    }

    /// The transitions that have ended since the last call, oldest first: each
    /// is given once, however many end in between.
    pub fn take_ended(&mut self) -> Vec<PastTransition> {
        std::mem::take(&mut self.ended)
    }

    fn refused(&mut self, patch: String, errno: u32, at: Moment, now: &Moment) {
        let message = self.take_complaints(at.boot);
        // A patch cancelled in mid-way is refused, too: one story, one entry.
        if let Some(last) = self.past.front_mut()
            && last.patch.as_deref() == Some(&patch)
            && last.outcome == Outcome::Cancelled
            && last.errno.is_none()
        {
            last.errno = Some(errno);
            last.message = last.message.take().or(message);
            return;
        }
        let mut past = PastTransition::refused(Some(patch), at.wall, message);
        past.errno = Some(errno);
        past.recorded_after_ms = Some(milliseconds(now.since(&at)));
        self.remember(past);
    }

    fn complained(&mut self, patch: Option<&str>, text: String, at: Moment) {
        let hooks_tell = self.hooks_tell(at.boot);
        self.complaints
            .retain(|(when, _)| at.boot.saturating_sub(*when) < COMPLAINT_LIFE);
        match self.course.running_mut() {
            // A hook tells of the refusal itself; this is why.
            _ if hooks_tell => self.complaints.push((at.boot, text)),
            // The kernel says this just before it cancels what it began.
            Some(running) if patch.is_none_or(|patch| patch == running.patch) => {
                running.turns.cancelled = true;
                self.complaints.push((at.boot, text));
            }
            _ => self.remember(PastTransition::refused(
                patch.map(str::to_owned),
                at.wall,
                Some(text),
            )),
        }
    }

    fn take_complaints(&mut self, at: Duration) -> Option<String> {
        let texts: Vec<String> = std::mem::take(&mut self.complaints)
            .into_iter()
            .filter(|(when, _)| at.saturating_sub(*when) < COMPLAINT_LIFE)
            .map(|(_, text)| text)
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// Without a count of tries, the first signal is all the log tells of.
    fn signaling(&mut self) {
        if let Some(running) = self.course.running_mut()
            && running.tries.is_none()
        {
            running.signals = Some(running.signals.unwrap_or(0).max(1));
        }
    }

    /// Takes in a reading of all patches.
    pub fn observe(&mut self, mut view: SystemView, now: &Moment) {
        self.keep_unread(&mut view);
        let at = now.at(view.read_at);
        let (course, patches) = (&mut self.course, &view.patches);
        let ended = course.observe(Reading { at, patches }, now);
        self.remember_ended(ended, at);
        self.observe_others(&view, at, now);
        self.calls.observe(&view);
        self.patches = view.patches;
        let Self {
            patches,
            course,
            known_replace,
            ..
        } = self;
        let running = course.running().map(|running| running.patch.as_str());
        known_replace.retain(|name, _| {
            running == Some(name.as_str()) || patches.iter().any(|patch| patch.name == *name)
        });
    }

    /// Patches of a system that cannot be read have not gone: they are as they
    /// were.
    fn keep_unread(&self, view: &mut SystemView) {
        let unread = |patch: &&PatchView| view.unread.contains(&patch.engine);
        let kept: Vec<_> = self.patches.iter().filter(unread).cloned().collect();
        view.patches.extend(kept);
    }

    /// The engines beside livepatch tell of nothing: their readings are all.
    fn observe_others(&mut self, view: &SystemView, at: Moment, now: &Moment) {
        // One that was read without a patch has none: its first is news.
        let read = EngineKind::ALL
            .into_iter()
            .filter(|engine| *engine != EngineKind::Livepatch && !view.unread.contains(engine));
        for engine in read {
            let others = &mut self.others;
            others.entry(engine).or_insert_with(|| Course::new(engine));
        }
        let patches = &view.patches;
        let reading = Reading { at, patches };
        let of_one = |course: &mut Course| {
            let ended = course.observe(reading, now);
            let at_once = course.changed_at_once(reading, ended.as_ref());
            ended.into_iter().chain(at_once).collect::<Vec<_>>()
        };
        let ended: Vec<_> = self.others.values_mut().flat_map(of_one).collect();
        for past in ended {
            self.remember_elsewhere(past, at);
        }
    }

    /// The engines beside livepatch, and where each transition under way goes.
    pub fn others(&self) -> impl Iterator<Item = (EngineKind, Option<Direction>)> {
        self.others
            .iter()
            .map(|(engine, course)| (*engine, course.running().map(|running| running.direction)))
    }

    /// Whether an engine beside livepatch has patches here. These tell of little:
    /// whoever follows has to read them again and again.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.others.values().any(Course::has_patches)
    }

    /// Takes in a look at the tasks left by an engine beside livepatch.
    pub fn sample_other(&mut self, engine: EngineKind, sample: TaskSample, now: &Moment) {
        if let Some(course) = self.others.get_mut(&engine) {
            course.sample(sample, now);
        }
    }

    /// Stops of the machine are told from `since` on.
    pub fn stops_are_told(&mut self, since: Moment) {
        self.stops.begin(since);
    }

    /// Takes in a stop of the machine.
    pub fn stopped(&mut self, stop: Stop) {
        self.stops.note(stop);
    }

    /// How many records of stops were lost so far.
    pub fn note_stops_lost(&mut self, lost: u64) {
        self.stops.note_lost(lost);
    }

    /// Takes in a look at all tasks.
    pub fn sample(&mut self, sample: TaskSample, now: &Moment) {
        self.switched = sample.switched.unwrap_or(self.switched);
        self.course.sample(sample, now);
    }

    /// The patches as last read.
    #[must_use]
    pub fn patches(&self) -> &[PatchView] {
        &self.patches
    }

    /// Takes in what came of checking a patch.
    pub fn note_check(&mut self, report: &CheckReport) {
        self.checks.note(report);
    }

    /// Takes in a reading of the counters.
    pub fn count(&mut self, reading: CallsReading) {
        self.calls.read(reading);
    }

    /// How soon the counters should be read again, where there is a doubt.
    #[must_use]
    pub fn recount(&self) -> Option<Duration> {
        self.calls.recheck()
    }

    /// Whether numbers of calls wait for an event that may have been lost:
    /// another reading of sysfs settles it.
    #[must_use]
    pub fn awaits_turn(&self) -> bool {
        self.calls.is_waiting()
    }

    /// The functions whose new code is not entered as it should be.
    #[must_use]
    pub fn doubted_functions(&self) -> BTreeSet<FunctionId> {
        self.calls.doubted()
    }
}
