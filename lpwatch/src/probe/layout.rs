//! The constants that the BPF programs need: offsets from BTF, addresses from
//! kallsyms.

use crate::kernel::{Roots, btf::KernelBtf, kallsyms, lockdown};

use super::{ProbeError, patch_walk, programs, stops};

/// The offset of a member that this kernel does not have.
const ABSENT: u32 = u32::MAX;

/// Values for the programs' constants, by their names.
#[derive(Debug)]
pub(super) struct Layout {
    pub offsets: Vec<(&'static str, u32)>,
    pub addresses: Vec<(&'static str, u64)>,
    /// Whether the kernel's own list of patches can be walked.
    pub walks_patches: bool,
}

/// Constant, structure, members in order of preference.
type OffsetSource = (&'static str, &'static str, &'static [&'static str]);

const TASK_OFFSETS: [OffsetSource; 6] = [
    ("OFF_TASK_PID", "task_struct", &["pid"]),
    ("OFF_TASK_TGID", "task_struct", &["tgid"]),
    ("OFF_TASK_COMM", "task_struct", &["comm"]),
    ("OFF_TASK_FLAGS", "task_struct", &["flags"]),
    // Renamed in 5.14 (2f064a59a11f).
    ("OFF_TASK_STATE", "task_struct", &["__state", "state"]),
    ("OFF_TASK_PATCH_STATE", "task_struct", &["patch_state"]),
];

/// Without these the programs work, but do not report the patch's name, or who logged in.
const PATCH_OFFSETS: [OffsetSource; 4] = [
    // With `CONFIG_AUDIT`.
    ("OFF_TASK_LOGIN_UID", "task_struct", &["loginuid"]),
    ("OFF_PATCH_MOD", "klp_patch", &["mod"]),
    ("OFF_PATCH_REPLACE", "klp_patch", &["replace"]),
    ("OFF_MODULE_NAME", "module", &["name"]),
];

/// The list of patches.
const PATCHES: &str = "ADDR_PATCHES";

/// The direction of the transition.
const TARGET: &str = "ADDR_TARGET_STATE";

/// Without these the programs work, with less detail.
const ADDRESSES: [(&str, &str); 5] = [
    ("ADDR_TRANSITION_PATCH", "klp_transition_patch"),
    (TARGET, "klp_target_state"),
    ("ADDR_SIGNALS_COUNT", "klp_signals_cnt"),
    (PATCHES, "klp_patches"),
    ("ADDR_MIGRATE_SWAP", "migrate_swap_stop"),
];

impl Layout {
    /// The offsets every program needs.
    pub fn of_tasks(btf: &KernelBtf) -> Result<Self, ProbeError> {
        let mut offsets = vec![("OFF_TASK_ON_CPU", on_cpu(btf).unwrap_or(ABSENT))];
        for (constant, structure, members) in TASK_OFFSETS {
            let offset = find(btf, structure, members).ok_or(ProbeError::Layout {
                structure,
                member: members[0],
            })?;
            offsets.push((constant, offset));
        }
        offsets.extend(programs::offsets(btf));
        Ok(Self {
            offsets,
            addresses: Vec::new(),
            walks_patches: false,
        })
    }

    /// Whether the direction of a transition can be read in a program.
    pub fn knows_target(&self) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|(name, _)| *name == TARGET)
    }

    /// Adds what the hooks need. What this kernel lacks is left absent. If it does
    /// not let programs read its memory, the verifier drops the reads, and accepts the
    /// rest of a hook.
    pub fn with_hooks(mut self, btf: &KernelBtf, roots: &Roots) -> Self {
        let patch = PATCH_OFFSETS.iter().map(|(constant, structure, members)| {
            (*constant, find(btf, structure, members).unwrap_or(ABSENT))
        });
        self.offsets.extend(patch);
        if lockdown::hides_memory(&roots.sysfs) {
            self.offsets.push(("READS_MEMORY", 0));
            return self;
        }
        self.addresses = addresses(roots);
        let walk = patch_walk::offsets(btf);
        let listed = self.addresses.iter().any(|(name, _)| *name == PATCHES);
        self.walks_patches = walk.is_some() && listed;
        self.offsets.extend(walk.into_iter().flatten());
        self.offsets.extend(stops::offsets(btf));
        self
    }
}

/// The offset of the lowest byte of `task_struct.on_cpu`: an `int`, and in 7.2
/// a `u8` with `on_rq` right behind it. Only SMP kernels have it.
fn on_cpu(btf: &KernelBtf) -> Option<u32> {
    let at = |member| find(btf, "task_struct", &[member]);
    let on_cpu = at("on_cpu")?;
    let is_byte = at("on_rq") == Some(on_cpu + 1);
    if is_byte || cfg!(target_endian = "little") {
        Some(on_cpu)
    } else {
        Some(on_cpu + 3)
    }
}

fn find(btf: &KernelBtf, structure: &str, members: &[&str]) -> Option<u32> {
    members
        .iter()
        .find_map(|member| btf.member_offset(structure, member))
}

fn addresses(roots: &Roots) -> Vec<(&'static str, u64)> {
    let names = ADDRESSES.map(|(_, symbol)| symbol);
    let found = match kallsyms::find_names(roots, &names) {
        Ok(found) if !found.hidden => found.addresses,
        Ok(_) => {
            tracing::debug!("kallsyms hides its addresses");
            return Vec::new();
        }
        Err(error) => {
            tracing::debug!(%error, "kallsyms cannot be read");
            return Vec::new();
        }
    };
    let known = ADDRESSES
        .iter()
        .filter_map(|(constant, symbol)| match found.get(*symbol)?[..] {
            [address] => Some((*constant, address)),
            // Two variables of one name are ambiguous.
            _ => None,
        });
    known.collect()
}
