//! A walk through the kernel's own list of patches, down to each function.
//!
//! sysfs names what is patched. Only `struct klp_func` contains the address of the
//! new code. The walk takes no lock. If the list changes during the walk, the walk
//! ends early or reports a function twice. Every read is checked.

use aya_ebpf::{
    Global,
    bindings::seq_file,
    helpers::{bpf_probe_read_kernel, bpf_probe_read_kernel_str_bytes, generated::bpf_seq_write},
    macros::map,
    maps::{Array, PerCpuArray},
};
use lpwatch_common::patch::{FUNCTION_NOP, FUNCTION_PATCHED, FunctionRecord, STEPS};

use crate::{
    kernel::{ABSENT_OFFSET, OFF_MODULE_NAME, OFF_PATCH_MOD, constants, read_member},
    programs::{IterObject, parts},
};

constants! {
    /// `struct list_head klp_patches` (kernel/livepatch/core.c)
    ADDR_PATCHES: u64 = 0;
    /// `struct klp_patch.list`
    OFF_PATCH_LIST: u32 = ABSENT_OFFSET;
    /// `struct klp_patch.obj_list`
    OFF_PATCH_OBJECTS: u32 = ABSENT_OFFSET;
    /// `struct klp_object.name`
    OFF_OBJECT_NAME: u32 = ABSENT_OFFSET;
    /// `struct klp_object.node`
    OFF_OBJECT_NODE: u32 = ABSENT_OFFSET;
    /// `struct klp_object.func_list`
    OFF_OBJECT_FUNCTIONS: u32 = ABSENT_OFFSET;
    /// `struct klp_func.node`
    OFF_FUNCTION_NODE: u32 = ABSENT_OFFSET;
    /// `struct klp_func.old_name`
    OFF_FUNCTION_OLD_NAME: u32 = ABSENT_OFFSET;
    /// `struct klp_func.old_func`
    OFF_FUNCTION_OLD: u32 = ABSENT_OFFSET;
    /// `struct klp_func.new_func`
    OFF_FUNCTION_NEW: u32 = ABSENT_OFFSET;
    /// `struct klp_func.old_sympos`
    OFF_FUNCTION_SYMPOS: u32 = ABSENT_OFFSET;
    /// `struct klp_func.nop`
    OFF_FUNCTION_NOP: u32 = ABSENT_OFFSET;
    /// `struct klp_func.patched`
    OFF_FUNCTION_PATCHED: u32 = ABSENT_OFFSET;
}

/// The position of the walk. Nodes are nodes of the kernel's lists; 0 means "in no
/// list".
#[derive(Clone, Copy)]
#[repr(C)]
struct Cursor {
    patch_node: u64,
    patch: u64,
    object_node: u64,
    object: u64,
    function_node: u64,
    /// 0 before the first step, 1 on the way, 2 at the end.
    stage: u64,
}

const FRESH: u64 = 0;
const WALKING: u64 = 1;
const DONE: u64 = 2;

/// User space sets it to zero to start a walk, and reads from it whether the walk
/// has ended.
#[map]
static PATCH_WALK: Array<Cursor> = Array::with_max_entries(1, 0);

/// Too large for a program's own stack.
#[map]
static FUNCTION: PerCpuArray<FunctionRecord> = PerCpuArray::with_max_entries(1, 0);

fn pointer(at: u64) -> Option<u64> {
    // SAFETY: the helper checks the address and fails rather than faults.
    unsafe { bpf_probe_read_kernel(at as *const u64) }.ok()
}

fn at(base: u64, offset: &Global<u32>) -> u64 {
    base.wrapping_add(u64::from(offset.load()))
}

fn before(node: u64, offset: &Global<u32>) -> u64 {
    node.wrapping_sub(u64::from(offset.load()))
}

/// One step of the walk; `None` if the list cannot be followed.
#[inline(always)]
fn step(seq: *mut seq_file, cursor: &mut Cursor) -> Option<bool> {
    if cursor.object != 0 {
        if cursor.function_node == at(cursor.object, &OFF_OBJECT_FUNCTIONS) {
            cursor.object_node = pointer(cursor.object_node)?;
            cursor.object = 0;
            return Some(true);
        }
        let written = write(seq, cursor);
        cursor.function_node = pointer(cursor.function_node)?;
        return Some(written);
    }
    if cursor.patch != 0 {
        if cursor.object_node == at(cursor.patch, &OFF_PATCH_OBJECTS) {
            cursor.patch_node = pointer(cursor.patch_node)?;
            cursor.patch = 0;
            return Some(true);
        }
        cursor.object = before(cursor.object_node, &OFF_OBJECT_NODE);
        cursor.function_node = pointer(at(cursor.object, &OFF_OBJECT_FUNCTIONS))?;
        return Some(true);
    }
    if cursor.patch_node == ADDR_PATCHES.load() {
        return None;
    }
    cursor.patch = before(cursor.patch_node, &OFF_PATCH_LIST);
    cursor.object_node = pointer(at(cursor.patch, &OFF_PATCH_OBJECTS))?;
    Some(true)
}

#[inline(always)]
fn write(seq: *mut seq_file, cursor: &Cursor) -> bool {
    let Some(record) = FUNCTION.get_ptr_mut(0) else {
        return true;
    };
    // SAFETY: a valid pointer to this CPU's own element; an iterator runs with
    // migration off.
    let record = unsafe { &mut *record };
    let function = before(cursor.function_node, &OFF_FUNCTION_NODE) as *const u8;
    record.old_address = read_member(function, &OFF_FUNCTION_OLD).unwrap_or(0);
    record.new_address = read_member(function, &OFF_FUNCTION_NEW).unwrap_or(0);
    record.sympos = read_member(function, &OFF_FUNCTION_SYMPOS).unwrap_or(0);
    record.flags = flag(function, &OFF_FUNCTION_NOP, FUNCTION_NOP)
        | flag(function, &OFF_FUNCTION_PATCHED, FUNCTION_PATCHED);
    record.padding = 0;
    let module = read_member::<u64>(cursor.patch as *const u8, &OFF_PATCH_MOD).unwrap_or(0);
    read_string(at(module, &OFF_MODULE_NAME), &mut record.patch);
    read_name(
        cursor.object as *const u8,
        &OFF_OBJECT_NAME,
        &mut record.object,
    );
    read_name(function, &OFF_FUNCTION_OLD_NAME, &mut record.name);
    let bytes: *const FunctionRecord = record;
    // SAFETY: `record` is initialised, has no padding and is as long as given.
    unsafe { bpf_seq_write(seq, bytes.cast(), size_of::<FunctionRecord>() as u32) == 0 }
}

fn flag(function: *const u8, offset: &Global<u32>, flag: u32) -> u32 {
    if read_member::<u8>(function, offset).is_some_and(|set| set & 1 != 0) {
        flag
    } else {
        0
    }
}

/// Reads the string that the member at `offset` points to.
#[inline(always)]
fn read_name(base: *const u8, offset: &Global<u32>, name: &mut [u8]) {
    read_string(read_member::<u64>(base, offset).unwrap_or(0), name);
}

/// The bytes after the end of the string keep their old values: to clear them would
/// cost the verifier a step for each byte.
#[inline(always)]
fn read_string(text: u64, name: &mut [u8]) {
    // SAFETY: the helper checks the address and fails rather than faults.
    let read = unsafe { bpf_probe_read_kernel_str_bytes(text as *const u8, name) };
    if read.is_err()
        && let Some(first) = name.first_mut()
    {
        *first = 0;
    }
}

/// Continues the walk at each program that the kernel shows. The programs only
/// provide enough calls.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_prog")]
pub extern "C" fn patch_functions(ctx: *const IterObject) -> i32 {
    // SAFETY: `ctx` is the kernel's.
    let (seq, _) = unsafe { parts(ctx) };
    let Some(kept) = PATCH_WALK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a valid pointer; one thread walks at a time.
    let mut cursor = unsafe { *kept };
    if cursor.stage == DONE || ADDR_PATCHES.load() == 0 {
        return 0;
    }
    if cursor.stage == FRESH {
        cursor.patch_node = pointer(ADDR_PATCHES.load()).unwrap_or(ADDR_PATCHES.load());
        cursor.stage = WALKING;
    }
    for _ in 0..STEPS {
        match step(seq, &mut cursor) {
            Some(true) => {}
            // The buffer is full: the kernel drops what was written here and
            // shows this program again, so the walk goes on from before.
            Some(false) => return 0,
            None => {
                cursor.stage = DONE;
                break;
            }
        }
    }
    // SAFETY: as above.
    unsafe { *kept = cursor };
    0
}
