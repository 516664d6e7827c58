//! The kernel's state at one moment, in the terms of the model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::{TaskKind, calls::FunctionId, evidence::Evidence, refusal::Refusal};

/// The direction of a transition.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Direction {
    /// The patch is being enabled: tasks switch to the new code.
    Patching,
    /// The patch is being disabled: tasks switch back.
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

    /// The direction of a patch in transition, from its `enabled` file.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// Every task has switched.
    Completed,
    /// An operator reversed it before its end.
    Reversed,
    /// An operator forced it: the tasks left switched without a check.
    Forced,
    /// The kernel gave up while it enabled the patch.
    Cancelled,
    /// It never began: the patching system did not accept the patch.
    Refused,
    /// It has ended; lpwatch did not see how.
    Unknown,
}

impl Outcome {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the operator's request was fulfilled.
    #[must_use]
    pub fn is_success(self) -> bool {
        match self {
            Self::Completed | Self::Forced => true,
            Self::Reversed | Self::Cancelled | Self::Refused | Self::Unknown => false,
        }
    }
}

/// A patching system: see [engines.md](engines.md).
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EngineKind {
    /// The kernel's own live patching (4.0 on). The patches of kpatch-build, klp-build
    /// and most vendors are livepatches.
    Livepatch,
    /// The core module of kpatch (2014 to about 2020).
    Kpatch,
    /// kGraft, of SUSE (SLE 12).
    Kgraft,
    /// Ksplice, of Oracle.
    Ksplice,
    /// KernelCare, of `TuxCare`.
    Kernelcare,
    /// The live patching of openEuler (4.19, 5.10).
    Openeuler,
}

impl EngineKind {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The state of all patching systems of a host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemView {
    /// When the reading began, since boot.
    pub read_at: Duration,
    /// Systems that this kernel has.
    pub present: Vec<EngineKind>,
    pub patches: Vec<PatchView>,
    /// Systems that may exist and could not be read.
    pub unread: Vec<EngineKind>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
    /// The effective kernel version with all patches, if a system shows it.
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

/// The object name of a function if the system does not show its object: no module can
/// have it. In JSON it is `null`.
pub const OBJECT_UNKNOWN: &str = "unknown object";

/// An object name in JSON: `null` for [`OBJECT_UNKNOWN`].
pub(super) mod object_or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::OBJECT_UNKNOWN;

    pub fn serialize<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
        Some(name)
            .filter(|name| *name != OBJECT_UNKNOWN)
            .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        let name = Option::<String>::deserialize(from)?;
        Ok(name.unwrap_or_else(|| OBJECT_UNKNOWN.to_owned()))
    }
}

/// One loaded patch as an engine read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchView {
    pub name: String,
    pub engine: EngineKind,
    /// Whether it is enabled or being enabled; `None` if unknown.
    pub enabled: Option<bool>,
    pub in_transition: bool,
    /// The direction of its transition, if the system shows it; otherwise it follows
    /// from `enabled`.
    pub told_direction: Option<Direction>,
    pub replace: Option<bool>,
    pub stack_order: Option<u32>,
    pub objects: Vec<ObjectView>,
    pub details: PatchDetails,
}

/// Details of a patch that only some systems show, for the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchDetails {
    /// The state in the system's own words.
    pub state: Option<String>,
    /// Why the system last refused to apply or reverse it.
    pub refusal: Option<Refusal>,
    /// Its module, if that has another name.
    pub module: Option<String>,
    /// Its description by its vendor.
    pub description: Option<String>,
    /// The addresses of old and new functions; empty if unknown.
    pub addresses: Vec<FunctionAddress>,
    /// How many patches must be reverted before it, if the system counts them.
    pub refs: Option<u32>,
}

/// The addresses of a patched function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionAddress {
    pub object: String,
    pub name: String,
    pub sympos: u32,
    pub old: Option<u64>,
    pub new: Option<u64>,
}

impl PatchView {
    /// A patch with no other known details.
    #[must_use]
    pub fn new(name: String, engine: EngineKind) -> Self {
        Self {
            name,
            engine,
            enabled: None,
            in_transition: false,
            told_direction: None,
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

    /// The direction of its transition.
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
    /// `None` if the system does not show all tasks.
    pub total: Option<u32>,
    /// The tasks that have not switched, or all tasks if all were requested.
    pub remaining: Vec<Task>,
    /// Tasks whose state could not be read.
    pub unread: u32,
    /// Tasks switched, by kind, since lpwatch counts them.
    pub switched: Option<SwitchedBy>,
}

/// One task in one sample. Every source of tasks produces this type, and the
/// blocker in a snapshot is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub kind: TaskKind,
    pub evidence: Evidence,
}

/// How many tasks have switched, by how they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SwitchedBy {
    /// Those that switched when the kernel had checked their stack.
    pub checked: u64,
    /// Those that switched on their return to user space.
    pub user_return: u64,
    /// Idle tasks, in the idle loop.
    pub idle: u64,
    /// Those that switched without a check, because an operator forced the transition.
    pub forced: u64,
}

impl SwitchedBy {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> u64 {
        let Self {
            checked,
            user_return,
            idle,
            forced,
        } = *self;
        [checked, user_return, idle, forced]
            .into_iter()
            .fold(0, u64::wrapping_add)
    }

    /// The increase since `earlier`.
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
