//! From the state to the [`Snapshot`].

use crate::model::{
    EngineKind, Moment, ObjectView, PatchView, Snapshot, Thresholds,
    calls::FunctionId,
    document::DocumentHead,
    snapshot::{Function, Object, Patch},
};

use super::{HostFacts, Model, course::Course};

impl Model {
    /// All that is known at `now`.
    #[must_use]
    pub fn snapshot(&self, now: &Moment, thresholds: &Thresholds) -> Snapshot {
        let HostFacts {
            host,
            kernel,
            source,
            daemon,
            probes,
            mut notes,
            traits: _,
            not_counted: _,
        } = self.facts.clone();
        notes.extend(self.course.log_disagrees().map(|patch| {
            format!(
                "The kernel log reports that the transition of {patch} has ended, but sysfs shows \
                 that it goes on. lpwatch goes by sysfs."
            )
        }));
        Snapshot {
            head: DocumentHead::new(host, kernel, now.wall, source),
            daemon,
            thresholds: *thresholds,
            probes,
            notes,
            events_lost: self.events_lost,
            patches: self
                .patches
                .iter()
                .map(|patch| self.patch(patch, now, thresholds))
                .collect(),
            watched: self.calls.watched(now),
            stops: self.stops.shown(),
            last_transitions: self.past.iter().cloned().collect(),
        }
    }

    fn patch(&self, patch: &PatchView, now: &Moment, thresholds: &Thresholds) -> Patch {
        let course = match patch.engine {
            EngineKind::Livepatch => Some(&self.course),
            other => self.others.get(&other),
        };
        let replace = patch
            .replace
            .or_else(|| self.known_replace.get(&patch.name).copied());
        let transition = course
            .and_then(Course::running)
            .filter(|running| running.patch == patch.name)
            .map(|running| {
                let patch = PatchView {
                    replace,
                    ..patch.clone()
                };
                running.snapshot(now, thresholds, &patch, &self.patches, &self.facts)
            });
        Patch {
            name: patch.name.clone(),
            engine: patch.engine,
            enabled: patch.enabled,
            refusal: patch.details.refusal.clone(),
            replace,
            stack_order: patch.stack_order,
            objects: self.objects(patch, now),
            transition,
            check: self.checks.of(&patch.name).cloned(),
        }
    }

    fn objects(&self, patch: &PatchView, now: &Moment) -> Vec<Object> {
        // A disabled patch is not applied to modules.
        let is_on = patch.enabled != Some(false) && patch.is_livepatch();
        let object = |view: &ObjectView| Object {
            name: view.name.clone(),
            patched: view.patched,
            refusal: is_on
                .then(|| self.refusals.of(&patch.name, &view.name).cloned())
                .flatten(),
            functions: self.functions(patch, view, now),
        };
        patch.objects.iter().map(object).collect()
    }

    fn functions(&self, patch: &PatchView, object: &ObjectView, now: &Moment) -> Vec<Function> {
        // The calls of other systems are not counted anyway.
        let of_host = self.facts.not_counted.as_deref();
        let of_host = of_host.filter(|_| patch.is_livepatch());
        let function = |(name, sympos): &(String, u32)| {
            let id = FunctionId::new(&object.name, name, *sympos);
            let calls = self.calls.calls(&patch.name, &id, now);
            let not_counted = self.calls.why_not(&id);
            Function {
                not_counted: not_counted
                    .or(of_host.filter(|_| calls.is_none()))
                    .map(str::to_owned),
                name: id.name,
                sympos: id.sympos,
                calls,
            }
        };
        object.functions.iter().map(function).collect()
    }
}
