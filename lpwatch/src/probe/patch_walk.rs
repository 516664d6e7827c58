//! Reads the kernel's own list of patches: the addresses of the new code.

use std::io::Read as _;

use aya::{
    Btf, Ebpf,
    maps::{Array, MapData},
    programs::Iter,
};
use lpwatch_common::{
    decode_all,
    patch::{FUNCTION_NOP, FunctionRecord},
};

use crate::{
    kernel::{btf::KernelBtf, kallsyms::VMLINUX},
    model::calls::FunctionId,
};

use super::{ProbeError, TaskIterator, error::is_locked_down, object::program, records::text};

const ACTION: &str = "walk through the kernel's patches";
const PROGRAM: &str = "patch_functions";

/// A pass makes a few steps for each BPF program of the host, of which more
/// than a dozen are lpwatch's; 2,000 functions take some forty passes.
const PASSES: usize = 1024;

/// As on the BPF side: five positions in lists, and the stage.
type CursorWords = [u64; 6];
const STAGE: usize = 5;
const DONE: u64 = 2;

/// Constant, structure, member.
const OFFSETS: [(&str, &str, &str); 12] = [
    ("OFF_PATCH_LIST", "klp_patch", "list"),
    ("OFF_PATCH_OBJECTS", "klp_patch", "obj_list"),
    ("OFF_OBJECT_NAME", "klp_object", "name"),
    ("OFF_OBJECT_NODE", "klp_object", "node"),
    ("OFF_OBJECT_FUNCTIONS", "klp_object", "func_list"),
    ("OFF_FUNCTION_NODE", "klp_func", "node"),
    ("OFF_FUNCTION_OLD_NAME", "klp_func", "old_name"),
    ("OFF_FUNCTION_OLD", "klp_func", "old_func"),
    ("OFF_FUNCTION_NEW", "klp_func", "new_func"),
    ("OFF_FUNCTION_SYMPOS", "klp_func", "old_sympos"),
    ("OFF_FUNCTION_NOP", "klp_func", "nop"),
    ("OFF_FUNCTION_PATCHED", "klp_func", "patched"),
];

/// A function of a loaded patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFunction {
    pub patch: String,
    pub id: FunctionId,
    /// The address of the original; `None` while its object is not loaded.
    pub old_address: Option<u64>,
    /// The address of the new function; `None` where the patch only undoes a
    /// change of an earlier one.
    pub new_address: Option<u64>,
}

/// Values for the constants of the walk; `None` where this kernel lacks one of
/// them, because the walk needs all.
pub(super) fn offsets(btf: &KernelBtf) -> Option<Vec<(&'static str, u32)>> {
    OFFSETS
        .iter()
        .map(|(constant, structure, member)| {
            Some((*constant, btf.member_offset(structure, member)?))
        })
        .collect()
}

/// Loads the iterator. On a kernel without it, reading it fails.
pub(super) fn load(bpf: &mut Ebpf, btf: &Btf) {
    let loaded = program::<Iter>(bpf, PROGRAM).and_then(|program| {
        let loaded = program.load("bpf_prog", btf);
        loaded.map_err(|error| ProbeError::new(ACTION, &error))
    });
    if let Err(error) = loaded {
        tracing::debug!(%error, "the kernel's patches cannot be walked");
    }
}

impl TaskIterator {
    /// Every function of every loaded patch. It takes no lock: a function of a
    /// patch that is loaded or unloaded meanwhile may be missing or appear
    /// twice.
    ///
    /// # Errors
    /// [`ProbeError`] if this kernel has no such iterator or does not show
    /// where its list of patches is.
    pub fn patched_functions(&mut self) -> Result<Vec<LoadedFunction>, ProbeError> {
        if !self.walks_patches && is_locked_down() {
            return Err(ProbeError::LockedDown { action: ACTION });
        }
        if !self.walks_patches {
            return Err(failed(
                "this kernel does not show where its patches are (BTF, kallsyms)",
            ));
        }
        let map = self
            .bpf
            .map_mut("PATCH_WALK")
            .ok_or_else(|| failed("the object has no `PATCH_WALK`"))?;
        let mut cursor: Array<&mut MapData, CursorWords> =
            Array::try_from(map).map_err(|error| fail(&error))?;
        cursor.set(0, [0; 6], 0).map_err(|error| fail(&error))?;
        let mut records = Vec::new();
        for _ in 0..PASSES {
            self.pass(&mut records)?;
            if self.is_done()? {
                return Ok(records.iter().map(function).collect());
            }
        }
        Err(failed("the list does not end"))
    }

    fn is_done(&self) -> Result<bool, ProbeError> {
        let map = self
            .bpf
            .map("PATCH_WALK")
            .ok_or_else(|| failed("the object has no `PATCH_WALK`"))?;
        let cursor: Array<&MapData, CursorWords> =
            Array::try_from(map).map_err(|error| fail(&error))?;
        let cursor = cursor.get(&0, 0).map_err(|error| fail(&error))?;
        Ok(cursor[STAGE] == DONE)
    }

    fn pass(&mut self, records: &mut Vec<FunctionRecord>) -> Result<(), ProbeError> {
        let program: &mut Iter = program(&mut self.bpf, PROGRAM)?;
        let link = program.attach().map_err(|error| fail(&error))?;
        let link = program.take_link(link).map_err(|error| fail(&error))?;
        let mut bytes = Vec::new();
        let mut file = link.into_file().map_err(|error| fail(&error))?;
        file.read_to_end(&mut bytes).map_err(|error| fail(&error))?;
        records.extend(decode_all::<FunctionRecord>(&bytes));
        Ok(())
    }
}

fn function(record: &FunctionRecord) -> LoadedFunction {
    let object = text(&record.object);
    let address = |address: u64| (address != 0).then_some(address);
    let is_nop = record.flags & FUNCTION_NOP != 0;
    LoadedFunction {
        patch: text(&record.patch),
        id: FunctionId {
            object: if object.is_empty() {
                VMLINUX.to_owned()
            } else {
                object
            },
            name: text(&record.name),
            // As sysfs shows it.
            sympos: u32::try_from(record.sympos).unwrap_or(u32::MAX).max(1),
        },
        old_address: address(record.old_address),
        new_address: address(record.new_address).filter(|_| !is_nop),
    }
}

fn failed(reason: &str) -> ProbeError {
    ProbeError::Failed {
        action: ACTION,
        reason: reason.to_owned(),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ProbeError {
    ProbeError::new(ACTION, error)
}
