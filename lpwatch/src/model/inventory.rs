//! What is patched on a host, by which patching system and since when, in one list.
//!
//! This is the JSON form of `lpwatch patches -o json`: fields are only added, and
//! unknown is `null`.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Direction, EngineKind, ModuleRefusal, Refusal, TransitionSummary,
    document::{DocumentHead, optional},
};

#[cfg(test)]
pub(crate) mod samples;
pub mod vendor;
mod winners;

pub use vendor::Vendor;
pub use winners::decide;

/// All patches of a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inventory {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The kernel version with the patches applied, if a system reports it.
    pub effective_kernel: Option<EffectiveKernel>,
    /// What `KernelCare` reports about itself, if it is present.
    pub kernelcare: Option<KernelCareFacts>,
    /// The patching systems of this kernel.
    pub systems: Vec<System>,
    pub patches: Vec<InventoryPatch>,
    /// Patch files on disk that are not loaded.
    pub not_loaded: Vec<UnloadedPatch>,
    /// The fixed CVEs, as far as they are known; `null` if not requested.
    pub cves: Option<Vec<Cve>>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// The kernel version with the patches applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EffectiveKernel {
    pub version: String,
    /// The file or tool that reports it.
    pub source: String,
}

/// What `KernelCare` reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCareFacts {
    /// From its tool; `null` if the tool is missing, was not run or did not report it.
    pub state: Option<KernelCareState>,
    /// The configured way to apply patches: `normal`, `nofreeze` or `smart`.
    pub patch_method: Option<String>,
    /// Whether it is configured to update by itself.
    pub auto_update: Option<bool>,
}

/// What `kcarectl --status` reports by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelCareState {
    Latest,
    NothingApplied,
    /// Newer patches are available and not applied.
    NewerWait,
    /// No patches exist for this kernel.
    Unsupported,
}

/// A patching system, and what it does not show about its patches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct System {
    pub engine: EngineKind,
    /// How it keeps old and new code apart: its consistency model.
    pub consistency: String,
    pub cannot: Vec<Limitation>,
}

/// A fact that a patching system does not show, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limitation {
    /// e.g. `progress`.
    pub fact: String,
    pub why: String,
}

/// The state of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PatchStatus {
    Enabled,
    Disabled,
    InTransition,
    /// Its system refused it, and it is not in force.
    Refused,
    NotKnown,
}

/// A loaded patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryPatch {
    pub name: String,
    pub engine: EngineKind,
    /// Its module, if that has another name.
    pub module: Option<String>,
    pub vendor: Option<Vendor>,
    pub state: PatchStatus,
    pub transition: Option<TransitionSummary>,
    /// The state in the system's own words.
    pub engine_state: Option<String>,
    /// When it was applied, if the kernel log still contains that.
    #[serde(serialize_with = "optional::milliseconds")]
    pub applied_at: Option<Timestamp>,
    pub description: Option<String>,
    /// Why the system last refused to apply or reverse it.
    pub refusal: Option<Refusal>,
    pub replace: Option<bool>,
    pub stack_order: Option<u32>,
    /// How many patches must be reverted before it (kGraft).
    pub refs: Option<u32>,
    pub objects: Vec<InventoryObject>,
    /// Whether disk and running kernel agree; `null` if unknown.
    pub disk: Option<OnDisk>,
}

/// `vmlinux` or a module, with the functions that a patch changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryObject {
    pub name: String,
    pub patched: Option<bool>,
    /// If the kernel last refused to load this module, because of the patch.
    pub refusal: Option<ModuleRefusal>,
    pub functions: Vec<InventoryFunction>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryFunction {
    pub name: String,
    pub sympos: u32,
    /// Where old and new code begin, in hexadecimal, if the system reports it.
    pub old_address: Option<String>,
    pub new_address: Option<String>,
    /// Whether calls reach the code of this patch; `null` if several patches change
    /// the function and their order is unknown.
    pub wins: Option<bool>,
    /// The patch whose code runs instead.
    pub overridden_by: Option<String>,
    /// If `wins` is `null`: why it is unknown.
    pub not_decided: Option<String>,
}

/// Whether a loaded patch and the files on disk agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OnDisk {
    pub state: DiskState,
    pub file: Option<String>,
}

/// See [`OnDisk`] and [`UnloadedPatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// Loaded, and its file is installed.
    Installed,
    /// Loaded, and another build of it is installed.
    InstalledOtherBuild,
    /// Loaded, and not installed: it is gone after a reboot.
    LoadedNotInstalled,
    /// Installed for this kernel, and not loaded.
    InstalledNotLoaded,
    /// Installed for this kernel, built for another: it cannot be loaded.
    InstalledWrongKernel,
    /// Installed for another kernel.
    InstalledOtherKernel,
}

/// A patch file that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnloadedPatch {
    pub name: String,
    pub file: String,
    /// The kernel whose folder contains it.
    pub kernel: String,
    /// The kernel it was built for.
    pub built_for: Option<String>,
    pub vendor: Option<Vendor>,
    pub state: DiskState,
}

/// A fixed vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cve {
    pub id: String,
    pub engine: EngineKind,
    /// `null` if the system reports only that it is fixed.
    pub patch: Option<String>,
}

impl InventoryPatch {
    /// Whether its code is or will be in force.
    #[must_use]
    pub fn in_force(&self) -> bool {
        match self.state {
            PatchStatus::Enabled => true,
            PatchStatus::InTransition => self
                .transition
                .as_ref()
                .is_some_and(|transition| transition.direction == Direction::Patching),
            PatchStatus::Disabled | PatchStatus::Refused | PatchStatus::NotKnown => false,
        }
    }
}
