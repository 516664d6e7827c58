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

/// What is patched on a host, by all patching systems.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PatchesDocument"))]
pub struct Inventory {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The kernel version with the patches applied; `null` if no system reports it.
    pub effective_kernel: Option<EffectiveKernel>,
    /// What KernelCare reports about itself; `null` if it is not present.
    pub kernelcare: Option<KernelCareFacts>,
    /// The patching systems of this kernel.
    pub systems: Vec<System>,
    /// The loaded patches of all patching systems.
    pub patches: Vec<InventoryPatch>,
    /// Patch files on disk that are not loaded.
    pub not_loaded: Vec<UnloadedPatch>,
    /// The fixed CVEs, as far as they are known; `null` without `--cve`.
    pub cves: Option<Vec<Cve>>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// The kernel version with the patches applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EffectiveKernel {
    /// The version, e.g. `5.8.0-63`.
    pub version: String,
    /// The file or tool that reports it.
    pub source: String,
}

/// What KernelCare reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCareFacts {
    /// What its tool reports; `null` if the tool is missing, was not run or reported
    /// no known state.
    pub state: Option<KernelCareState>,
    /// The configured way to apply patches: `normal`, `nofreeze` or `smart`; `null` if
    /// it is not configured.
    pub patch_method: Option<String>,
    /// Whether it is configured to update by itself; `null` if it is not configured.
    pub auto_update: Option<bool>,
}

/// What `kcarectl --status` reports by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelCareState {
    /// The latest patches are applied.
    Latest,
    /// No patches are applied.
    NothingApplied,
    /// Newer patches are available and not applied.
    NewerWait,
    /// No patches exist for this kernel.
    Unsupported,
}

/// A patching system, and what it does not show about its patches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PatchingSystem"))]
pub struct System {
    /// Which system it is.
    pub engine: EngineKind,
    /// How it prevents old and new code from mixing.
    #[cfg_attr(test, schemars(with = "crate::engine::Consistency"))]
    pub consistency: String,
    /// The facts that it does not show, or only in part. Empty if it shows all.
    pub cannot: Vec<Limitation>,
}

/// A fact that a patching system does not show, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limitation {
    /// The fact: `progress`, `blockers` or `reasons` (of a transition), `calls`,
    /// `check`, `wait` or `stop_time`.
    pub fact: String,
    /// Why it is not available, or which part is.
    pub why: String,
}

/// The state of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PatchStatus {
    /// Its code is in force.
    Enabled,
    /// It is loaded, and its code is not in force.
    Disabled,
    /// It is being enabled or disabled.
    InTransition,
    /// Its system refused it, and it is not in force.
    Refused,
    /// Its system does not report it.
    NotKnown,
}

/// A loaded patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryPatch {
    /// Its name. For livepatch that is the name of its module.
    pub name: String,
    /// The patching system.
    pub engine: EngineKind,
    /// Its module; `null` if that has the same name, or there is none.
    pub module: Option<String>,
    /// Who made it, from its name and the kernel's; `null` if the names do not show
    /// it.
    pub vendor: Option<Vendor>,
    /// Its state.
    pub state: PatchStatus,
    /// Its transition, of which only the direction is known here; `null` if it is not
    /// in transition. `lpwatch status` shows more.
    pub transition: Option<TransitionSummary>,
    /// Its state in the system's own words; `null` if the system has none.
    pub engine_state: Option<String>,
    /// When it was applied; `null` if the kernel log no longer contains that.
    #[serde(serialize_with = "optional::milliseconds")]
    pub applied_at: Option<Timestamp>,
    /// The description by its vendor; `null` if its system shows none.
    pub description: Option<String>,
    /// Why its system last refused to apply or reverse it; `null` if it has not, or
    /// reports no refusals.
    pub refusal: Option<Refusal>,
    /// Whether it replaces all patches loaded before it; `null` if unknown.
    pub replace: Option<bool>,
    /// Its place in the order of loading, from 1; `null` if the system does not show
    /// it.
    pub stack_order: Option<u32>,
    /// How many patches must be reverted before it (kGraft); `null` for other systems.
    pub refs: Option<u32>,
    /// The objects that it changes.
    pub objects: Vec<InventoryObject>,
    /// Whether the files on disk agree; `null` if unknown.
    pub disk: Option<OnDisk>,
}

/// `vmlinux` or a module, with the functions that a patch changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryObject {
    /// `vmlinux` (the kernel itself) or the name of a module; `null` if the patching
    /// system does not show it.
    #[serde(serialize_with = "super::view::object_or_null::serialize")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub name: String,
    /// Whether calls are redirected to the new code; `false` for a module that is not
    /// loaded, `null` if unknown.
    pub patched: Option<bool>,
    /// The kernel's last refusal to load this module, because the patch does not fit
    /// it; `null` if there was none since.
    pub refusal: Option<ModuleRefusal>,
    /// The functions that the patch changes in it.
    pub functions: Vec<InventoryFunction>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InventoryFunction {
    /// Its name in the kernel's symbol table.
    pub name: String,
    /// Which of several symbols with this name in the object, from 1.
    pub sympos: u32,
    /// Where the old code begins, e.g. `0xffffffff81234560`; `null` if the system does
    /// not report it.
    pub old_address: Option<String>,
    /// Where the new code begins, e.g. `0xffffffffc0a01000`; `null` if the system does
    /// not report it.
    pub new_address: Option<String>,
    /// Whether calls reach the code of this patch; `null` if several patches change
    /// the function and their order is unknown, see `not_decided`.
    pub wins: Option<bool>,
    /// The patch whose code runs instead; `null` if there is none.
    pub overridden_by: Option<String>,
    /// If `wins` is `null`: why it is unknown.
    pub not_decided: Option<String>,
}

/// Whether a loaded patch and the files on disk agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OnDisk {
    /// How they agree.
    pub state: DiskState,
    /// The file; `null` if there is none, or only the distribution's records show it.
    pub file: Option<String>,
}

/// Where a patch is: in the running kernel, on disk, or both.
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
    /// The name that it would have when it is loaded.
    pub name: String,
    /// The path of the file.
    pub file: String,
    /// The release of the kernel whose folder contains it.
    pub kernel: String,
    /// The release of the kernel that it was built for; `null` if the file does not
    /// show it.
    pub built_for: Option<String>,
    /// Who made it, from its name and the kernel's; `null` if the names do not show
    /// it.
    pub vendor: Option<Vendor>,
    /// Where it is installed.
    pub state: DiskState,
}

/// A fixed vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cve {
    /// The id, e.g. `CVE-2022-36946`.
    pub id: String,
    /// The patching system that fixes it.
    pub engine: EngineKind,
    /// The patch that fixes it; `null` if the system reports only that it is fixed.
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
