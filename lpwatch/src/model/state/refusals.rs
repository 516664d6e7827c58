//! The modules that the kernel refuses to load because of a patch.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{Moment, PatchView, snapshot::ModuleRefusal};

/// By patch and object. A refusal holds until the module is patched after all, or
/// the patch is enabled anew.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(String, String), (Duration, ModuleRefusal)>);

impl Refusals {
    /// The kernel refused to load the module at `at`.
    pub fn note(
        &mut self,
        key: (String, String),
        errno: Option<u32>,
        cause: Option<String>,
        at: Moment,
    ) {
        let before = self.0.remove(&key);
        let times = before.map_or(0, |(_, refusal)| refusal.times);
        let refusal = ModuleRefusal {
            at: at.wall,
            errno,
            cause,
            times: times.saturating_add(1),
        };
        self.0.insert(key, (at.boot, refusal));
    }

    /// The module was loaded and patched.
    pub fn forget(&mut self, patch: &str, object: &str) {
        self.0.retain(|(of, on), _| of != patch || on != object);
    }

    /// The patch is another one from now on.
    pub fn forget_patch(&mut self, patch: &str) {
        self.0.retain(|(of, _), _| of != patch);
    }

    /// A reading that began at `at` shows which patches and modules are there.
    pub fn observe(&mut self, patches: &[PatchView], at: Duration) {
        self.0.retain(|(patch, object), (refused, _)| {
            let mut patches = patches.iter().filter(|view| view.is_livepatch());
            let patch = patches.find(|view| view.name == *patch);
            let objects = patch.map_or(&[][..], |view| &view.objects);
            let is_absent = objects
                .iter()
                .any(|view| view.name == *object && view.patched == Some(false));
            is_absent || at < *refused
        });
    }

    /// The refusal of this module because of this patch.
    pub fn of(&self, patch: &PatchView, object: &str) -> Option<&ModuleRefusal> {
        if patch.enabled == Some(false) || !patch.is_livepatch() {
            return None;
        }
        let key = (patch.name.clone(), object.to_owned());
        self.0.get(&key).map(|(_, refusal)| refusal)
    }
}
