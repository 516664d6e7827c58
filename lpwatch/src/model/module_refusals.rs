//! The modules that the kernel refuses to load because of a patch.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Moment, document::milliseconds};

/// The kernel's refusal to load a module that a patch does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModuleRefusal {
    /// When the kernel last refused it.
    #[serde(serialize_with = "milliseconds")]
    pub at: Timestamp,
    /// The error with which loading it fails, a positive number, e.g. 22 for EINVAL;
    /// `null` if the kernel does not log it.
    pub errno: Option<u32>,
    /// What does not fit, in the kernel's words; `null` if unknown.
    pub cause: Option<String>,
    /// How often the kernel log reports it.
    pub times: u32,
}

/// By patch and object. A refusal holds until the module is patched after all, or
/// the patch is enabled anew.
#[derive(Clone, Debug, Default)]
pub struct ModuleRefusals(BTreeMap<(String, String), (Duration, ModuleRefusal)>);

impl ModuleRefusals {
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

    /// A reading that began at `at` shows whether the module is absent, by patch and
    /// object.
    pub fn observe(&mut self, at: Duration, is_absent: impl Fn(&str, &str) -> bool) {
        self.0
            .retain(|(patch, object), (refused, _)| at < *refused || is_absent(patch, object));
    }

    /// The refusal of this module because of this patch.
    #[must_use]
    pub fn of(&self, patch: &str, object: &str) -> Option<&ModuleRefusal> {
        let key = (patch.to_owned(), object.to_owned());
        self.0.get(&key).map(|(_, refusal)| refusal)
    }
}
