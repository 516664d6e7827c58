//! The course of one engine's transitions: the one under way, and the one that
//! is ending. An engine has one at a time.
//!
//! Events are exact but can be lost; readings are complete but can be older than
//! the last event. So events change the course, and readings correct it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::model::{
    Direction, EngineKind, Moment, Outcome, PatchView, Refusal, TaskSample,
    running::{Completing, Discovery, Running},
    snapshot::{PastTransition, SwitchedBy},
};

/// How long sysfs is read often after the hook on `klp_complete_transition`: the
/// kernel's clean-up in between waits for all CPUs.
const CLEAN_UP: Duration = Duration::from_secs(2);

/// How long sysfs may lag behind the log line of an end, which the kernel writes as
/// the last thing before: only a few instructions, but a slow console may delay
/// them.
const LOGGED_END: Duration = Duration::from_secs(1);

/// How long sysfs may lag behind the hook on `klp_init_transition`: only a few
/// instructions, but their CPU may be busy with something else.
const BEGINNING: Duration = Duration::from_secs(10);

/// A reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct CourseReading<'a> {
    /// When it began.
    pub at: Moment,
    /// The patches of all engines.
    pub patches: &'a [PatchView],
}

impl<'a> CourseReading<'a> {
    fn of(self, engine: EngineKind) -> impl Iterator<Item = &'a PatchView> {
        let own = move |patch: &&PatchView| patch.engine == engine;
        self.patches.iter().filter(own)
    }
}

/// The transitions of one engine.
#[derive(Debug)]
pub(super) struct Course {
    engine: EngineKind,
    running: Option<Running>,
    /// The patch whose end was reported and sysfs may not show yet.
    ending: Option<Ending>,
    /// The patch whose end the log reports, while sysfs shows that it goes on.
    log_disagrees: Option<String>,
    /// Events of the running transition may have been lost.
    doubtful: bool,
    /// Which patches were enabled at the last reading, and why others were not.
    applied: Option<BTreeMap<String, Applied>>,
    /// Whether a reading was applied.
    looked: bool,
    /// When the last transition had ended, since boot, as far as is known.
    last_end: Option<Duration>,
}

/// A reported end.
#[derive(Debug)]
struct Ending {
    patch: String,
    at: Moment,
}

/// Whether a patch is enabled, if known; if it failed, why.
type Applied = (Option<bool>, Option<Refusal>);

impl Course {
    pub fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            running: None,
            ending: None,
            log_disagrees: None,
            doubtful: false,
            applied: None,
            looked: false,
            last_end: None,
        }
    }

    /// Whether there was a patch at the last reading, or there is a transition.
    pub fn has_patches(&self) -> bool {
        let applied = self.applied.as_ref();
        self.running.is_some() || applied.is_some_and(|applied| !applied.is_empty())
    }

    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    pub fn running_mut(&mut self) -> Option<&mut Running> {
        self.running.as_mut()
    }

    /// Whether sysfs still has to catch up with what was reported.
    pub fn is_settling(&self, now: Duration) -> bool {
        let completing = self.running.as_ref().and_then(|running| running.completing);
        let is_new = |completing: Completing| now.saturating_sub(completing.at.boot) < CLEAN_UP;
        self.ending.is_some() || completing.is_some_and(is_new)
    }

    /// When the log reported an end that sysfs does not show yet.
    pub fn ending_since(&self) -> Option<Duration> {
        self.ending.as_ref().map(|ending| ending.at.boot)
    }

    /// Whether the end of this patch's transition was just reported.
    pub fn is_ending(&self, patch: &str) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|ending| ending.patch == patch)
    }

    /// The patch whose transition goes on in sysfs after the log reported its end.
    pub fn log_disagrees(&self) -> Option<&str> {
        self.log_disagrees.as_deref()
    }

    /// A lost event may have started another transition after the reported end.
    pub fn note_lost(&mut self) {
        self.ending = None;
        self.doubtful = true;
    }

    /// A transition begins; returns the one that this ends, if one was running.
    pub fn begin(
        &mut self,
        patch: String,
        direction: Direction,
        at: Moment,
        switched: Option<SwitchedBy>,
    ) -> Option<PastTransition> {
        self.ending = None;
        self.log_disagrees = None;
        self.doubtful = false;
        if let Some(running) = &mut self.running
            && running.patch == patch
        {
            if !running.direction_reported {
                // A reading came before the event.
                let counted = switched.filter(|_| !running.was_sampled());
                *running = Running::new(patch, direction, at).begin(at);
                running.switched_before = counted;
            } else if running.direction != direction {
                running.reverse(Some(at));
            }
            return None;
        }
        let before = self.finish(at, Some(Outcome::Unknown), None);
        self.ending = None;
        let mut running = Running::new(patch, direction, at).begin(at);
        running.switched_before = switched;
        self.running = Some(running);
        before
    }

    /// Whether what the log reports of `at` belongs to an earlier transition.
    pub fn began_after(&self, at: Moment) -> bool {
        let began = self.running.as_ref().and_then(|running| running.began);
        began.is_some_and(|began| at.boot < began.boot)
    }

    /// The running transition, or a new one if its start was not observed and it had
    /// not ended by then.
    pub fn running_or_found(
        &mut self,
        patch: Option<String>,
        direction: Option<Direction>,
        at: Moment,
    ) -> Option<&mut Running> {
        if self.running.is_none()
            && self.last_end.is_none_or(|end| at.boot > end)
            && let (Some(patch), Some(direction)) = (patch, direction)
        {
            self.ending = None;
            self.running = Some(Running::new(patch, direction, at));
        }
        self.running.as_mut()
    }

    /// A hook reports that every task has switched: the kernel cleans up.
    pub fn complete(&mut self, at: Moment, delay: Duration) {
        if let Some(running) = &mut self.running {
            running.completing = Some(Completing { at, delay });
        }
    }

    /// Whether the log line of an end, written at `at`, is that of the running
    /// transition.
    pub fn is_end(&self, patch: Option<&str>, at: Moment) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| {
            let completing = running.completing.as_ref();
            completing.is_some_and(|completing| at.boot >= completing.at.boot)
                && patch == Some(running.patch.as_str())
        })
    }

    /// Ends the running transition if all its tasks have switched. `known` is when
    /// its end became known; `None` if it ended at an unknown time before now.
    pub fn end_completing(
        &mut self,
        known: Option<Moment>,
        now: &Moment,
    ) -> Option<PastTransition> {
        let completing = self.running.as_ref()?.completing?;
        let (end, delay) = completing.end(known.unwrap_or(completing.at), now);
        self.finish(end, None, Some(delay))
    }

    /// Ends the running transition; `delay` is the delay of its event, if a hook
    /// reported it.
    pub fn finish(
        &mut self,
        at: Moment,
        outcome: Option<Outcome>,
        delay: Option<Duration>,
    ) -> Option<PastTransition> {
        let running = self.running.take()?;
        // Nothing ends before it began, however late its end was reported.
        let began = running.began.filter(|began| began.boot > at.boot);
        let at = began.unwrap_or(at);
        self.last_end = self.last_end.max(Some(at.boot));
        self.doubtful = false;
        self.log_disagrees = None;
        self.ending = Some(Ending {
            patch: running.patch.clone(),
            at,
        });
        let outcome = outcome.unwrap_or_else(|| running.outcome());
        Some(running.finish(self.engine, at, outcome, delay))
    }

    /// Applies a reading; returns the transition that it shows as ended.
    pub fn observe(&mut self, reading: CourseReading<'_>, now: &Moment) -> Option<PastTransition> {
        let ended = self.mend_running(reading, now);
        if ended.is_some() {
            self.last_end = self.last_end.max(Some(reading.at.boot));
        }
        self.mend_ending(reading);
        let found = reading.of(self.engine).find(|patch| patch.in_transition);
        let is_new =
            |patch: &&PatchView| self.running.is_none() && !self.is_ending(patch.name.as_str());
        if let Some(patch) = found.filter(is_new) {
            let direction = patch.direction();
            let mut running = Running::new(patch.name.clone(), direction, reading.at);
            running.seen_at_it = true;
            if !self.looked {
                running.discovery = Discovery::Midway;
            }
            self.running = Some(running);
        }
        self.looked = true;
        ended
    }

    /// Ends or reverses the running transition if a newer reading shows it.
    fn mend_running(&mut self, reading: CourseReading<'_>, now: &Moment) -> Option<PastTransition> {
        let CourseReading { at, .. } = reading;
        let running = self.running.as_mut()?;
        if running.last_heard > at.boot {
            return None;
        }
        let mut own = reading.of(self.engine);
        let patch = own.find(|patch| patch.name == running.patch);
        if let Some(completing) = running.completing {
            let goes_on = |patch: &&PatchView| {
                patch.in_transition && (!self.doubtful || patch.direction() == running.direction)
            };
            if patch.as_ref().is_some_and(goes_on) {
                running.last_heard = at.boot;
                return None;
            }
            let known = if self.doubtful { completing.at } else { at };
            let ended = self.end_completing(Some(known), now);
            self.ending = None;
            return ended;
        }
        if let Some(patch) = patch.filter(|patch| patch.in_transition) {
            running.last_heard = at.boot;
            running.seen_at_it = true;
            // While a patch is being enabled, sysfs shows `enabled=0` for a
            // moment. If events report reversals, the events decide.
            let told = running.direction_reported && !self.doubtful;
            let is_before = running.direction_before_switching().is_some();
            if !told && !is_before && patch.direction() != running.direction {
                running.reverse(None);
            }
            return None;
        }
        let begun = running.began;
        let begins = begun.is_some_and(|began| at.since(&began) < BEGINNING);
        if begins && !running.seen_at_it && !self.doubtful {
            return None;
        }
        // Some systems report that they refused a patch, with the reason.
        if let Some(why) = patch.and_then(|patch| patch.details.refusal.clone()) {
            let mut ended = self.finish(at, Some(Outcome::Refused), None)?;
            self.ending = None;
            ended.refusal = Some(why);
            return Some(ended);
        }
        // The directory of a disabled patch disappears when its unpatching
        // completes. An unknown state may be either.
        let is_on = patch.map_or(Some(false), |patch| patch.enabled);
        if is_on.is_some_and(|is_on| Direction::of_enabled(is_on) != running.direction) {
            running.reverse(None);
        }
        let ended = self.finish(at, None, None);
        self.ending = None;
        ended
    }

    /// Forgets a reported end when sysfs shows it, or after the time limit: then
    /// sysfs is right.
    fn mend_ending(&mut self, reading: CourseReading<'_>) {
        let Some(Ending { patch, at }) = &self.ending else {
            return;
        };
        let mut own = reading.of(self.engine);
        let goes_on = own.any(|known| known.name == *patch && known.in_transition);
        // A single look reads sysfs before it reads the log.
        let is_late = reading.at.since(at) > LOGGED_END;
        if goes_on && is_late {
            self.log_disagrees = Some(patch.clone());
        }
        if is_late || !goes_on {
            self.ending = None;
        }
    }

    /// The changes since the last reading without an observed transition: engines
    /// that stop the machine switch all tasks at once. `ended` is the transition
    /// that this reading shows as ended.
    pub fn changed_at_once(
        &mut self,
        reading: CourseReading<'_>,
        ended: Option<&PastTransition>,
    ) -> Vec<PastTransition> {
        let own = reading.of(self.engine);
        // An unknown state counts as unchanged.
        let known = |name: &String| self.applied.as_ref()?.get(name)?.0;
        let applied: BTreeMap<String, Applied> = own
            .map(|patch| {
                let is_applied = patch.enabled.or_else(|| known(&patch.name));
                (
                    patch.name.clone(),
                    (is_applied, patch.details.refusal.clone()),
                )
            })
            .collect();
        let now = applied.clone();
        // What the first reading shows may have happened long ago.
        let Some(before) = self.applied.replace(applied) else {
            return Vec::new();
        };
        let told = |name: &String| {
            ended.is_some_and(|ended| ended.patch.as_ref() == Some(name))
                || self
                    .running
                    .as_ref()
                    .is_some_and(|running| running.patch == *name)
        };
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let untold = names.into_iter().filter(|name| !told(name));
        untold
            .filter_map(|name| self.changed(name, before.get(name), now.get(name), reading.at))
            .collect()
    }

    fn changed(
        &self,
        name: &str,
        before: Option<&Applied>,
        now: Option<&Applied>,
        at: Moment,
    ) -> Option<PastTransition> {
        // A missing patch is not enabled.
        let is_applied = |state: Option<&Applied>| state.map_or(Some(false), |state| state.0);
        let is_on = is_applied(now);
        let direction = Direction::of_enabled(is_on == Some(true));
        let was_on = is_applied(before).filter(|_| is_on.is_some());
        if was_on.is_some() && was_on != is_on {
            let running = Running::new(name.to_owned(), direction, at);
            return Some(running.finish(self.engine, at, Outcome::Completed, None));
        }
        let refusal = |state: Option<&Applied>| state.and_then(|(_, refusal)| refusal.clone());
        let why = refusal(now).filter(|_| refusal(before) != refusal(now))?;
        // It should have changed, and has not.
        let running = Running::new(name.to_owned(), direction.opposite(), at);
        let mut past = running.finish(self.engine, at, Outcome::Refused, None);
        past.refusal = Some(why);
        Some(past)
    }

    /// Applies a sample of all tasks.
    pub fn sample(&mut self, sample: TaskSample, now: &Moment) {
        if let Some(running) = &mut self.running {
            running.sample(sample, now);
        }
    }
}
