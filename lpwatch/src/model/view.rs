//! The kernel's state at one moment, in the terms of the model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::{calls::FunctionId, evidence::Evidence, inventory::PatchRefusal};

/// Which way a transition goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
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
        self.into()
    }
}

/// How a transition ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    Completed,
    /// Turned round by an operator.
    Reversed,
    /// Forced over by an operator.
    Forced,
    /// Given up by the kernel while enabling the patch.
    Cancelled,
    /// Never begun: the kernel did not accept the patch.
    Refused,
    /// It is over, but how was not seen.
    Unknown,
}

impl Outcome {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
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
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EngineKind {
    Livepatch,
    Kpatch,
    Kgraft,
    Ksplice,
    Kernelcare,
    Openeuler,
}

impl EngineKind {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the patching systems of a host show at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemView {
    /// When the reading began, since boot.
    pub read_at: Duration,
    /// Systems that this kernel has.
    pub present: Vec<EngineKind>,
    pub patches: Vec<PatchView>,
    /// Systems that may be there and could not be read.
    pub unread: Vec<EngineKind>,
    /// What could not be read, a sentence each.
    pub notes: Vec<String>,
    /// The kernel that is in force with what is patched, where a system shows
    /// it.
    pub effective_kernel: Option<String>,
    /// CVEs that a system reports as fixed.
    pub cves: Vec<(EngineKind, String)>,
}

impl SystemView {
    /// The patches of livepatch.
    pub fn livepatches(&self) -> impl Iterator<Item = &PatchView> {
        self.patches.iter().filter(|patch| patch.is_livepatch())
    }

    /// The live patch in transition; the kernel allows one at a time.
    #[must_use]
    pub fn in_transition(&self) -> Option<&PatchView> {
        self.livepatches().find(|patch| patch.in_transition)
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
    pub details: PatchDetails,
}

/// What only some systems show of a patch, for the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchDetails {
    /// The system's own word for its state.
    pub state: Option<String>,
    /// Why the system last refused to apply or reverse it.
    pub refusal: Option<PatchRefusal>,
    /// Its module, where that has another name.
    pub module: Option<String>,
    /// What it is for, in its maker's words.
    pub description: Option<String>,
    /// Where old and new functions begin; empty where that is unknown.
    pub addresses: Vec<FunctionAddress>,
    /// How many patches must be reverted before it, where that matters.
    pub refs: Option<u32>,
}

/// Where a patched function begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionAddress {
    pub object: String,
    pub name: String,
    pub sympos: u32,
    pub old: Option<u64>,
    pub new: Option<u64>,
}

impl PatchView {
    /// A patch of which nothing else is known.
    #[must_use]
    pub fn new(name: String, engine: EngineKind) -> Self {
        Self {
            name,
            engine,
            enabled: None,
            in_transition: false,
            told_direction: None,
            failure: None,
            replace: None,
            stack_order: None,
            objects: Vec::new(),
            details: PatchDetails::default(),
        }
    }

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
    /// Those that have not switched, or all where all were wanted.
    pub remaining: Vec<Task>,
    /// Tasks of which it could not be read whether they are left.
    pub unread: u32,
    /// Tasks switched, by way, since lpwatch watches that.
    pub switched: Option<SwitchedBy>,
}

/// One task at one look. Every source of tasks fills in this, and from it comes
/// the blocker in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
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
