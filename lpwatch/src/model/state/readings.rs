//! Applies readings of sysfs and samples of the tasks to the state.

use strum::VariantArray as _;

use crate::model::{EngineKind, Moment, PatchView, SystemView, TaskSample, WaitSample};

use super::{
    Model,
    course::{Course, CourseReading},
};

impl Model {
    /// Applies a reading of all patches.
    pub(super) fn observe(&mut self, mut view: SystemView, now: &Moment) {
        self.keep_unread(&mut view);
        let at = now.at(view.read_at);
        let (course, patches) = (&mut self.course, &view.patches);
        let ended = course.observe(CourseReading { at, patches }, now);
        if let Some(past) = &ended
            && let (Some(patch), Some(direction)) = (&past.patch, past.direction)
        {
            self.reports.read_end(patch, direction, at.boot);
        }
        self.remember_ended(ended, at);
        self.observe_others(&view, at, now);
        self.calls.observe(&view);
        self.refusals.observe(view.read_at, |patch, object| {
            let mut patches = view.livepatches();
            let patch = patches.find(|known| known.name == patch);
            let mut objects = patch.into_iter().flat_map(|known| &known.objects);
            objects.any(|known| known.name == object && known.patched == Some(false))
        });
        self.keep_order(&mut view.patches);
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

    /// The order of loaded patches does not change in a transition, in which the file
    /// that has it is not read.
    fn keep_order(&self, patches: &mut [PatchView]) {
        for patch in patches
            .iter_mut()
            .filter(|patch| patch.stack_order.is_none())
        {
            let mut known = self.patches.iter();
            let known =
                known.find(|known| known.name == patch.name && known.engine == patch.engine);
            patch.stack_order = known.and_then(|known| known.stack_order);
        }
    }

    /// The patches of an unreadable system keep their state.
    fn keep_unread(&self, view: &mut SystemView) {
        let unread = |patch: &&PatchView| view.unread.contains(&patch.engine);
        let kept: Vec<_> = self.patches.iter().filter(unread).cloned().collect();
        view.patches.extend(kept);
    }

    /// The engines beside livepatch tell of nothing: their readings are all.
    fn observe_others(&mut self, view: &SystemView, at: Moment, now: &Moment) {
        // One that was read without a patch has none: its first is news.
        let read = EngineKind::VARIANTS
            .iter()
            .copied()
            .filter(|engine| *engine != EngineKind::Livepatch && !view.unread.contains(engine));
        for engine in read {
            let others = &mut self.others;
            others.entry(engine).or_insert_with(|| Course::new(engine));
        }
        let patches = &view.patches;
        let reading = CourseReading { at, patches };
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

    /// Takes in a search for what livepatch's transition waits for.
    pub(super) fn note_wait(&mut self, sample: WaitSample, now: &Moment) {
        if let Some(running) = self.course.running_mut() {
            running.note_wait(sample, now);
        }
    }

    /// Takes in a look at the tasks that `engine` has left; at all tasks for
    /// livepatch.
    pub(super) fn sample(&mut self, engine: EngineKind, sample: TaskSample, now: &Moment) {
        if engine == EngineKind::Livepatch {
            self.switched = sample.switched.unwrap_or(self.switched);
            self.course.sample(sample, now);
        } else if let Some(course) = self.others.get_mut(&engine) {
            course.sample(sample, now);
        }
    }
}
