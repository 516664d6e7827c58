//! The kernel's state at one moment, in the terms of the model.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{calls::FunctionId, evidence::Evidence};

/// The direction of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Patching,
    Unpatching,
}

impl Direction {
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Patching => Self::Unpatching,
            Self::Unpatching => Self::Patching,
        }
    }

    /// The direction of a patch in transition whose `enabled` file reads so.
    #[must_use]
    pub fn of_enabled(enabled: bool) -> Self {
        if enabled {
            Self::Patching
        } else {
            Self::Unpatching
        }
    }

    /// The `patch_state` of a task that has switched.
    #[must_use]
    pub fn target_state(self) -> i32 {
        match self {
            Self::Patching => 1,
            Self::Unpatching => 0,
        }
    }

    /// The word used by the kernel log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patching => "patching",
            Self::Unpatching => "unpatching",
        }
    }
}

/// How a transition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Completed,
    /// Reversed by an operator.
    Reversed,
    /// Forced by an operator.
    Forced,
    /// Cancelled by the kernel while enabling the patch.
    Cancelled,
    /// Never begun: the kernel did not accept the patch.
    Refused,
    /// It has ended, but how is unknown.
    Unknown,
}

impl Outcome {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Reversed => "reversed",
            Self::Forced => "forced",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// Whether what the operator set out to do was done.
    #[must_use]
    pub fn is_success(self) -> bool {
        match self {
            Self::Completed | Self::Forced => true,
            Self::Reversed | Self::Cancelled | Self::Refused | Self::Unknown => false,
        }
    }
}

/// The patching system behind a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    Livepatch,
    Kpatch,
    Kgraft,
    Ksplice,
    Kernelcare,
    Openeuler,
}

impl EngineKind {
    pub const ALL: [Self; 6] = [
        Self::Livepatch,
        Self::Kpatch,
        Self::Kgraft,
        Self::Ksplice,
        Self::Kernelcare,
        Self::Openeuler,
    ];

    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Livepatch => "livepatch",
            Self::Kpatch => "kpatch",
            Self::Kgraft => "kgraft",
            Self::Ksplice => "ksplice",
            Self::Kernelcare => "kernelcare",
            Self::Openeuler => "openeuler",
        }
    }
}

/// All patches as an engine read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemView {
    /// When the reading began, since boot.
    pub read_at: Duration,
    pub patches: Vec<PatchView>,
    /// Systems that may be there and could not be read.
    pub unread: Vec<EngineKind>,
    /// What could not be read, a sentence each.
    pub notes: Vec<String>,
}

impl SystemView {
    #[must_use]
    pub fn patch(&self, name: &str) -> Option<&PatchView> {
        self.patches.iter().find(|patch| patch.name == name)
    }

    /// The same, of livepatch alone.
    #[must_use]
    pub fn of_livepatch(&self) -> Self {
        let live = self.patches.iter().filter(|patch| patch.is_livepatch());
        Self {
            read_at: self.read_at,
            patches: live.cloned().collect(),
            unread: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The live patch in transition; the kernel allows one at a time.
    #[must_use]
    pub fn in_transition(&self) -> Option<&PatchView> {
        let mut live = self
            .patches
            .iter()
            .filter(|patch| patch.engine == EngineKind::Livepatch);
        live.find(|patch| patch.in_transition)
    }
}

/// One loaded patch as an engine read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchView {
    pub name: String,
    pub engine: EngineKind,
    /// Whether it is or is to be in force; `None` where that is not told.
    pub enabled: Option<bool>,
    pub in_transition: bool,
    /// Which way it goes in a transition, where its system says so; else
    /// `enabled` does.
    pub told_direction: Option<Direction>,
    /// Why it is not applied although it was to be, in its system's words.
    pub failure: Option<String>,
    pub replace: Option<bool>,
    pub stack_order: Option<u32>,
    pub objects: Vec<ObjectView>,
}

impl PatchView {
    #[must_use]
    pub fn is_livepatch(&self) -> bool {
        self.engine == EngineKind::Livepatch
    }

    /// Which way it goes in a transition.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.told_direction
            .unwrap_or_else(|| Direction::of_enabled(self.enabled == Some(true)))
    }

    /// Every function that the patch changes.
    pub fn function_ids(&self) -> impl Iterator<Item = FunctionId> {
        self.objects.iter().flat_map(|object| {
            let functions = object.functions.iter();
            functions.map(|(name, sympos)| FunctionId::new(&object.name, name, *sympos))
        })
    }
}

/// One object of a patch: its name, whether patched, and its functions with
/// their sympos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectView {
    pub name: String,
    pub patched: Option<bool>,
    pub functions: Vec<(String, u32)>,
}

/// One pass over all tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSample {
    /// When the pass began, since boot.
    pub at: Duration,
    /// The direction the pass compared against.
    pub direction: Direction,
    /// `None` where the system does not tell of all.
    pub total: Option<u32>,
    pub remaining: Vec<TaskOnOldCode>,
    /// Tasks of which it could not be read whether they are left.
    pub unread: u32,
    /// Tasks switched, by way, since lpwatch watches that.
    pub switched: Option<SwitchedBy>,
}

/// A task that has not switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOnOldCode {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub kthread: bool,
    pub evidence: Evidence,
}

/// How many tasks have switched, by way, as far as that was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedBy {
    /// The kernel checked the task's stack.
    pub checked: u64,
    /// It returned to user space.
    pub user_return: u64,
    /// Idle tasks, in the idle loop.
    pub idle: u64,
    /// An operator forced them.
    pub forced: u64,
}

impl SwitchedBy {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            checked: self.checked.saturating_sub(earlier.checked),
            user_return: self.user_return.saturating_sub(earlier.user_return),
            idle: self.idle.saturating_sub(earlier.idle),
            forced: self.forced.saturating_sub(earlier.forced),
        }
    }
}
