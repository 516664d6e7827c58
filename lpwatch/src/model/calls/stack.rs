//! The patches that are enabled, in the order in which they were.

use std::collections::BTreeSet;

use crate::model::SystemView;

/// Enabled patches, the lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stack {
    patches: Vec<String>,
    /// Those about which it is not known which came first: up to 6.13 the
    /// kernel does not say. They lie below all others.
    unordered: BTreeSet<String>,
}

impl Stack {
    pub fn of_one(patch: &str) -> Self {
        Self::default().with(patch)
    }

    /// With this patch on top, or where it is.
    pub fn with(&self, patch: &str) -> Self {
        let mut stack = self.clone();
        if stack.position(patch).is_none() {
            stack.patches.push(patch.to_owned());
        }
        stack
    }

    pub fn without(&self, patch: &str) -> Self {
        let mut stack = self.clone();
        stack.patches.retain(|other| other != patch);
        stack.unordered.remove(patch);
        stack
    }

    /// As a reading of sysfs shows it, with what is known of the order.
    pub fn as_seen(&self, view: &SystemView) -> Self {
        let enabled = || {
            view.livepatches()
                .filter(|patch| patch.enabled == Some(true))
        };
        if enabled().all(|patch| patch.stack_order.is_some()) {
            let mut ordered: Vec<_> = enabled().collect();
            ordered.sort_by_key(|patch| patch.stack_order);
            return Self {
                patches: ordered
                    .into_iter()
                    .map(|patch| patch.name.clone())
                    .collect(),
                unordered: BTreeSet::new(),
            };
        }
        let is_enabled = |name: &String| enabled().any(|patch| patch.name == *name);
        let known: Vec<&String> = self
            .patches
            .iter()
            .filter(|name| is_enabled(name))
            .collect();
        let new: Vec<&String> = enabled()
            .map(|patch| &patch.name)
            .filter(|name| !known.contains(name))
            .collect();
        let mut unordered: BTreeSet<String> = self
            .unordered
            .iter()
            .filter(|name| is_enabled(name))
            .cloned()
            .collect();
        unordered.extend(new.iter().map(|name| (*name).clone()));
        if unordered.len() == 1 && known.is_empty() {
            // One alone has no order to be known.
            unordered.clear();
        }
        Self {
            patches: new.into_iter().chain(known).cloned().collect(),
            unordered,
        }
    }

    pub fn position(&self, patch: &str) -> Option<usize> {
        self.patches.iter().position(|other| other == patch)
    }

    pub fn downwards(&self) -> impl Iterator<Item = &str> {
        self.patches.iter().rev().map(String::as_str)
    }

    /// Whether it is not known what lies above this patch.
    pub fn has_no_place(&self, patch: &str) -> bool {
        self.unordered.contains(patch)
    }
}
