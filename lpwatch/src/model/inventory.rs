//! What is patched on a host, by whom and since when: all patching systems in
//! one list.
//!
//! The JSON form of `lpwatch patches -o json`: fields are only added, and what is
//! not known is `null`.

use jiff::Timestamp;
use serde::Serialize;

use super::{Direction, EngineKind};

#[cfg(test)]
pub(crate) mod samples;
pub mod vendor;
mod winners;

pub use vendor::Vendor;
pub use winners::decide;

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// All patches of a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inventory {
    pub schema_version: u32,
    pub host: String,
    /// As booted (`uname -r`).
    pub kernel: String,
    pub taken_at: Timestamp,
    /// The kernel that is in force with what is patched, where a system tells.
    pub effective_kernel: Option<EffectiveKernel>,
    /// What `KernelCare` says of itself, where it is.
    pub kernelcare: Option<KernelCareFacts>,
    /// The patching systems that this kernel has.
    pub systems: Vec<System>,
    pub patches: Vec<InventoryPatch>,
    /// Patch files that lie on disk and are not loaded.
    pub not_loaded: Vec<UnloadedPatch>,
    /// CVEs that are fixed, as far as that is told; `null` if not asked for.
    pub cves: Option<Vec<Cve>>,
    /// What could not be read, a sentence each.
    pub notes: Vec<String>,
}

/// The kernel that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveKernel {
    pub version: String,
    /// A file or a tool.
    pub source: String,
}

/// What `KernelCare` says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelCareFacts {
    /// By its tool; `null` where that is not there, was not run or did not tell.
    pub standing: Option<KernelCareState>,
    /// How it applies patches, as configured: `normal`, `nofreeze` or `smart`.
    pub patch_method: Option<String>,
    /// Whether it updates by itself, as configured.
    pub auto_update: Option<bool>,
}

/// What `kcarectl --status` says by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelCareState {
    Latest,
    NothingApplied,
    /// Newer patches are there, and not applied.
    NewerWait,
    /// There are none for this kernel.
    Unsupported,
}

/// A patching system, and what cannot be known of its patches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct System {
    pub engine: EngineKind,
    /// How it keeps old and new code apart.
    pub consistency: String,
    pub cannot: Vec<Limitation>,
}

/// Something that cannot be known, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limitation {
    /// e.g. `progress`.
    pub fact: String,
    pub why: String,
}

/// How a patch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchStatus {
    Enabled,
    Disabled,
    InTransition,
    /// Its system gave it up, and it is not in force.
    Refused,
    NotKnown,
}

/// A loaded patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InventoryPatch {
    pub name: String,
    pub engine: EngineKind,
    /// Its module, where that has another name.
    pub module: Option<String>,
    pub vendor: Option<Vendor>,
    pub standing: PatchStatus,
    pub direction: Option<Direction>,
    /// The system's own word for how it stands.
    pub engine_state: Option<String>,
    /// When it was applied, while the kernel log still has that.
    pub since: Option<Timestamp>,
    pub description: Option<String>,
    /// Why the system last refused to apply or reverse it.
    pub refusal: Option<PatchRefusal>,
    pub replace: Option<bool>,
    pub stack_order: Option<u32>,
    /// How many patches must be reverted before it (kGraft).
    pub refs: Option<u32>,
    pub objects: Vec<InventoryObject>,
    /// How disk and running kernel agree; `null` where that is not known.
    pub disk: Option<OnDisk>,
}

/// That a system gave a patch up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatchRefusal {
    /// Its own word.
    pub cause: String,
    pub meaning: String,
}

/// `vmlinux` or a module, as far as a patch changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryObject {
    pub name: String,
    pub patched: Option<bool>,
    pub functions: Vec<InventoryFunction>,
}

/// A patched function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryFunction {
    pub name: String,
    pub sympos: u32,
    /// Where old and new code begin, in hexadecimal, where the system tells.
    pub old_address: Option<String>,
    pub new_address: Option<String>,
    /// Whether calls reach this patch's code and no other's; `null` where
    /// several patches have the function and their order is not known.
    pub wins: Option<bool>,
    /// The patch that has it instead.
    pub overridden_by: Option<String>,
    /// Where `wins` is `null`: why that is not known.
    pub not_decided: Option<String>,
}

/// How a loaded patch and the files on disk agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnDisk {
    pub state: DiskState,
    pub file: Option<String>,
}

/// See [`OnDisk`] and [`UnloadedPatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
pub struct UnloadedPatch {
    pub name: String,
    pub file: String,
    /// The kernel whose folder it lies in.
    pub kernel: String,
    /// The kernel it was built for.
    pub built_for: Option<String>,
    pub vendor: Option<Vendor>,
    pub state: DiskState,
}

/// A vulnerability that is fixed, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cve {
    pub id: String,
    pub engine: EngineKind,
    /// `null` where the system says only that it is fixed.
    pub patch: Option<String>,
}

impl InventoryPatch {
    /// Whether its code is or will be in force.
    #[must_use]
    pub fn in_force(&self) -> bool {
        match self.standing {
            PatchStatus::Enabled => true,
            PatchStatus::InTransition => self.direction == Some(Direction::Patching),
            PatchStatus::Disabled | PatchStatus::Refused | PatchStatus::NotKnown => false,
        }
    }
}
