//! What changes beside transitions: objects, calls, stops of the machine.

use std::collections::BTreeSet;

use crate::model::{
    Direction, Outcome, Snapshot,
    snapshot::{Object, PastTransition, Patch},
    view::OBJECT_UNKNOWN,
};

use super::{
    Details, EntryKind, News, PatchFunctionKey,
    news::Draft,
    words::{counted, list},
};

/// The number of functions that an entry names.
const NAMED: usize = 16;

/// Reports patches that changed without a transition, and changed objects.
pub(super) fn changes(
    previous: &Snapshot,
    next: &Snapshot,
    ended: &[PastTransition],
    news: &mut News,
) {
    for before in &previous.patches {
        let now = next.patches.iter();
        let now = now.clone().find(|patch| is_same(patch, before));
        let has_course = before.transition.is_some()
            || now.is_some_and(|patch| patch.transition.is_some())
            || has_ended(before, ended);
        if !has_course {
            enabled(before, now, ended, next, news);
        }
        let Some(now) = now else { continue };
        let is_calm = has_same_course(before, now) && !has_ended(before, ended);
        for object in &now.objects {
            let before = before.objects.iter().find(|old| old.name == object.name);
            if let Some(before) = before {
                changed(now, before, object, is_calm, news);
            }
        }
    }
    for patch in &next.patches {
        let is_new = !previous.patches.iter().any(|old| is_same(old, patch));
        let has_course = patch.transition.is_some() || has_ended(patch, ended);
        if is_new && !has_course && patch.enabled == Some(true) {
            news.push(is_enabled(patch));
        }
    }
}

fn is_same(one: &Patch, other: &Patch) -> bool {
    (one.engine, &one.name) == (other.engine, &other.name)
}

fn has_ended(patch: &Patch, ended: &[PastTransition]) -> bool {
    ended
        .iter()
        .any(|past| past.patch.as_ref() == Some(&patch.name))
}

/// Whether both are in the same transition, or in none: what changes then is the
/// object itself.
fn has_same_course(before: &Patch, now: &Patch) -> bool {
    let course = |patch: &Patch| {
        let transition = patch.transition.as_ref();
        transition.map(|transition| (transition.direction, transition.reversed))
    };
    course(before) == course(now) && before.enabled == now.enabled
}

fn is_enabled(patch: &Patch) -> Draft {
    let text = format!("{} is enabled.", patch.name);
    Draft::new(EntryKind::PatchEnabled, text)
        .of(&patch.name)
        .with(of_engine(patch))
}

fn of_engine(patch: &Patch) -> Details {
    Details {
        engine: Some(patch.engine),
        ..Details::default()
    }
}

/// Reports a patch that is enabled or disabled without a transition of its own.
fn enabled(
    before: &Patch,
    now: Option<&Patch>,
    ended: &[PastTransition],
    next: &Snapshot,
    news: &mut News,
) {
    let is_on = now.map_or(Some(false), |patch| patch.enabled);
    match (before.enabled, is_on) {
        (Some(true), Some(false)) => {
            let replacing = ended.iter().find_map(|past| {
                let name = past.patch.as_deref()?;
                let is_it = past.outcome == Outcome::Completed
                    && past.direction == Some(Direction::Patching)
                    && next.patch(name)?.replace == Some(true);
                is_it.then_some(name)
            });
            let why = replacing.map_or_else(String::new, |other| format!(": {other} replaces it"));
            let text = format!("{} is no longer enabled{why}.", before.name);
            news.push(
                Draft::new(EntryKind::PatchDisabled, text)
                    .of(&before.name)
                    .with(of_engine(before)),
            );
        }
        (Some(false), Some(true)) => news.push(is_enabled(before)),
        _ => {}
    }
}

/// Reports a module that came, went or was refused.
fn changed(patch: &Patch, before: &Object, now: &Object, is_calm: bool, news: &mut News) {
    let name = now.name.as_str();
    let of = patch.name.as_str();
    let mut details = Details {
        object: (name != OBJECT_UNKNOWN).then(|| name.to_owned()),
        ..of_engine(patch)
    };
    let count = |object: &Object| object.refusal.as_ref().map_or(0, |refusal| refusal.times);
    if let Some(refusal) = now.refusal.as_ref().filter(|_| count(now) > count(before)) {
        let errno = refusal.errno.map(|errno| format!(": error {errno}"));
        let cause = refusal.cause.as_ref().map(|cause| format!(": {cause}"));
        let text = format!(
            "The kernel refused to load the module {name}, because {of} does not fit it{}{}.",
            errno.unwrap_or_default(),
            cause.unwrap_or_default()
        );
        let details = Details {
            errno: refusal.errno,
            cause: refusal.cause.clone(),
            ..details.clone()
        };
        news.push(
            Draft::new(EntryKind::ObjectRefused, text)
                .of(of)
                .at(Some(refusal.at))
                .danger()
                .with(details),
        );
    }
    if !is_calm || patch.enabled == Some(false) {
        return;
    }
    let (kind, text) = match (before.patched, now.patched) {
        (Some(false), Some(true)) => (
            EntryKind::ObjectLoaded,
            format!("The module {name} was loaded, and {of} patches it."),
        ),
        (Some(true), Some(false)) => (
            EntryKind::ObjectUnloaded,
            format!("The module {name}, which {of} patches, was unloaded."),
        ),
        _ => return,
    };
    details.functions = now.functions.iter().map(|one| one.name.clone()).collect();
    details.functions.truncate(NAMED);
    news.push(Draft::new(kind, text).of(of).with(details));
}

/// The functions of a patch whose calls changed.
#[derive(Debug, Default)]
pub(super) struct CallChanges {
    pub entered: Vec<PatchFunctionKey>,
    pub lost: Vec<PatchFunctionKey>,
    pub regained: Vec<PatchFunctionKey>,
}

/// What changed in the calls of `patch`; `None` if nothing did.
pub(super) fn calls(
    patch: &Patch,
    entered: &BTreeSet<PatchFunctionKey>,
    ineffective: &BTreeSet<PatchFunctionKey>,
) -> Option<CallChanges> {
    let mut changes = CallChanges::default();
    for object in &patch.objects {
        for function in &object.functions {
            let Some(calls) = &function.calls else {
                continue;
            };
            // Almost always nothing is new; no key is then made.
            let has_run = calls.new > 0;
            if !has_run && calls.effective.is_none() {
                continue;
            }
            let key = (
                patch.name.clone(),
                object.name.clone(),
                function.name.clone(),
                function.sympos,
            );
            match calls.effective {
                Some(false) if !ineffective.contains(&key) => changes.lost.push(key.clone()),
                Some(true) if ineffective.contains(&key) => changes.regained.push(key.clone()),
                _ => {}
            }
            // A redirected call that does not arrive is no entry.
            if has_run && calls.effective != Some(false) && !entered.contains(&key) {
                changes.entered.push(key);
            }
        }
    }
    let CallChanges {
        entered,
        lost,
        regained,
    } = &changes;
    let is_empty = entered.is_empty() && lost.is_empty() && regained.is_empty();
    (!is_empty).then_some(changes)
}

impl CallChanges {
    /// Reports them, one entry of each kind.
    pub fn report(&self, patch: &Patch, news: &mut News) {
        let of = patch.name.as_str();
        let mut push = |kind, keys: &[PatchFunctionKey], text: &dyn Fn(&str) -> String| {
            if keys.is_empty() {
                return;
            }
            let mut names: Vec<String> = keys.iter().map(|(_, _, name, _)| name.clone()).collect();
            let which = list(&names);
            names.truncate(NAMED);
            let object = keys.first().map(|(_, object, ..)| object.clone());
            let is_one = keys.iter().all(|(_, one, ..)| Some(one) == object.as_ref());
            let draft = Draft::new(kind, text(&which)).of(of).with(Details {
                functions: names,
                object: object.filter(|object| is_one && object != OBJECT_UNKNOWN),
                ..of_engine(patch)
            });
            news.push(if kind == EntryKind::EffectLost {
                draft.danger()
            } else {
                draft
            });
        };
        let number = counted(self.entered.len() as u64, "function");
        push(EntryKind::NewCodeEntered, &self.entered, &|which| {
            format!("New code of {of} was entered for the first time: {number} ({which}).")
        });
        push(EntryKind::EffectLost, &self.lost, &|which| {
            format!("Calls should run the new code of {of}, and do not: {which}.")
        });
        push(EntryKind::EffectRegained, &self.regained, &|which| {
            format!("Calls run the new code of {of} again: {which}.")
        });
    }
}

/// Reports the stops of the machine.
pub(super) fn stops(previous: &Snapshot, next: &Snapshot, news: &mut News) {
    let (Some(before), Some(now)) = (&previous.stops, &next.stops) else {
        return;
    };
    // Newest first.
    let new: Vec<_> = now
        .last
        .iter()
        .take_while(|stop| !before.last.contains(stop))
        .collect();
    for stop in new.into_iter().rev() {
        let function = stop.function.as_deref().unwrap_or("an unnamed function");
        let text = format!(
            "All CPUs were stopped for {:.1} ms while {function} ran.",
            stop.stopped_ms
        );
        let draft = Draft::new(EntryKind::MachineStopped, text)
            .at(Some(stop.at))
            .with(Details {
                engine: stop.engine,
                functions: stop.function.iter().cloned().collect(),
                stopped_ms: Some(stop.stopped_ms),
                ..Details::default()
            });
        news.push(if stop.engine.is_some() {
            draft.warning()
        } else {
            draft
        });
    }
}
