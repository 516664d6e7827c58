//! The task iterator: which tasks are still on old code.
//!
//! One pass writes a record for each task that is not in the target state, and
//! one record of totals at the end. Tasks that have switched are only counted. So
//! a pass over 50,000 threads with one blocker writes two records.

use aya_ebpf::{
    Global,
    bindings::seq_file,
    helpers::generated::{bpf_get_task_stack, bpf_seq_write},
    macros::map,
    maps::{Array, PerCpuArray},
};
use lpwatch_common::{
    COMM_LEN,
    task::{MAX_FRAMES, RECORD_TASK, RECORD_TOTALS, TARGET_ALL, TaskRecord},
    transition::{DIRECTION_PATCHING, DIRECTION_UNPATCHING},
};

use crate::kernel::{self, ABSENT_OFFSET};

/// `struct bpf_iter_meta` (include/linux/bpf.h): stable since 5.8.
#[repr(C)]
struct IterMeta {
    seq: *mut seq_file,
    session_id: u64,
    seq_num: u64,
}

/// `struct bpf_iter__task` (`kernel/bpf/task_iter.c`).
#[repr(C)]
pub struct IterTask {
    meta: *const IterMeta,
    task: *const u8,
}

/// Set before each pass: the state every task is moving to (`DIRECTION_*`), and
/// how many stacks are wanted.
#[map]
static TASK_TARGET: Array<i32> = Array::with_max_entries(2, 0);
const WANTED_STACKS: u32 = 1;

/// Tasks seen, tasks remaining and stacks written in this pass.
#[map]
static TASK_COUNTS: Array<u32> = Array::with_max_entries(3, 0);
const SEEN: u32 = 0;
const REMAINING: u32 = 1;
const STACKS: u32 = 2;

/// Room for one stack: too long for the 512 bytes a program has of its own.
#[map]
static STACK: PerCpuArray<[u64; MAX_FRAMES]> = PerCpuArray::with_max_entries(1, 0);

/// A member of the task read straight through the verifier's typed pointer. A
/// kernel that is locked down (confidentiality) allows no other read.
///
/// # Safety
/// `task` must be the non-null task pointer of the iterator's context, and
/// `offset` the offset of a member of type `T` in `struct task_struct`.
#[inline(always)]
unsafe fn member<T: Copy>(task: *const u8, offset: &Global<u32>) -> T {
    // SAFETY: see above.
    unsafe { kernel::typed_member(task, offset.load()) }
}

/// Whether the task is on a CPU, as 0 or 1; 0 on kernels that do not say.
///
/// # Safety
/// As for [`member`].
#[inline(always)]
unsafe fn on_cpu(task: *const u8) -> u32 {
    if kernel::OFF_TASK_ON_CPU.load() == ABSENT_OFFSET {
        return 0;
    }
    // SAFETY: see above; the offset is that of the lowest byte.
    let on_cpu: u8 = unsafe { member(task, &kernel::OFF_TASK_ON_CPU) };
    u32::from(on_cpu != 0)
}

/// `task->comm`, in words: the verifier lets a read of an array cross elements.
///
/// # Safety
/// As for [`member`].
#[inline(always)]
unsafe fn comm(task: *const u8) -> [u8; COMM_LEN] {
    const HALF: usize = COMM_LEN / 2;
    // SAFETY: see above, and the second half is within the array as well.
    let halves: [u64; 2] = unsafe {
        [
            member(task, &kernel::OFF_TASK_COMM),
            member(task.add(HALF), &kernel::OFF_TASK_COMM),
        ]
    };
    let mut comm = [0; COMM_LEN];
    comm[..HALF].copy_from_slice(&halves[0].to_ne_bytes());
    comm[HALF..].copy_from_slice(&halves[1].to_ne_bytes());
    comm
}

fn count(index: u32) -> Option<&'static mut u32> {
    // SAFETY: a pass runs on one thread and user space makes one at a time.
    TASK_COUNTS
        .get_ptr_mut(index)
        .map(|count| unsafe { &mut *count })
}

fn write(seq: *mut seq_file, record: &TaskRecord) -> bool {
    let bytes: *const TaskRecord = record;
    // SAFETY: `record` is initialised and as long as the length given.
    unsafe { bpf_seq_write(seq, bytes.cast(), size_of::<TaskRecord>() as u32) == 0 }
}

/// Writes the record, followed by the part of the task's kernel stack that can be
/// read.
#[inline(always)]
fn write_with_stack(seq: *mut seq_file, record: &mut TaskRecord, task: *const u8) -> bool {
    const FRAME: usize = size_of::<u64>();
    const LONGEST: usize = MAX_FRAMES * FRAME;
    let Some(stack) = STACK.get_ptr_mut(0) else {
        return write(seq, record);
    };
    // SAFETY: `stack` has room for as many bytes as are asked for.
    let read =
        unsafe { bpf_get_task_stack(task.cast_mut().cast(), stack.cast(), LONGEST as u32, 0) };
    if read < FRAME as i64 || read > LONGEST as i64 {
        return write(seq, record);
    }
    record.frames = read as u32 / FRAME as u32;
    // SAFETY: the helper has written `read` bytes to `stack`.
    write(seq, record) && unsafe { bpf_seq_write(seq, stack.cast(), read as u32) == 0 }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn tasks(ctx: *const IterTask) -> i32 {
    // SAFETY: the kernel gives a valid context with a valid `meta`.
    let (seq, seq_num, task) = unsafe { ((*(*ctx).meta).seq, (*(*ctx).meta).seq_num, (*ctx).task) };
    let (Some(seen), Some(remaining), Some(stacks)) =
        (count(SEEN), count(REMAINING), count(STACKS))
    else {
        return 0;
    };
    if seq_num == 0 {
        *seen = 0;
        *remaining = 0;
        *stacks = 0;
    }
    if task.is_null() {
        write(seq, &totals(*seen, *remaining));
        return 0;
    }
    // SAFETY: `task` is the context's task and not null.
    let patch_state: i32 = unsafe { member(task, &kernel::OFF_TASK_PATCH_STATE) };
    if is_remaining(patch_state) {
        // SAFETY: as above.
        let mut record = unsafe { task_record(task, patch_state) };
        let written = if *stacks < wanted_stacks() {
            write_with_stack(seq, &mut record, task)
        } else {
            write(seq, &record)
        };
        if !written {
            // The buffer is full: the kernel shows this task again.
            return 0;
        }
        *stacks += 1;
        *remaining += 1;
    }
    *seen += 1;
    0
}

fn wanted_stacks() -> u32 {
    TASK_TARGET
        .get(WANTED_STACKS)
        .map_or(0, |wanted| *wanted as u32)
}

fn is_remaining(patch_state: i32) -> bool {
    let Some(&target) = TASK_TARGET.get(0) else {
        return false;
    };
    let in_transition = patch_state == DIRECTION_PATCHING || patch_state == DIRECTION_UNPATCHING;
    target == TARGET_ALL || (in_transition && patch_state != target)
}

fn totals(seen: u32, remaining: u32) -> TaskRecord {
    TaskRecord {
        record: RECORD_TOTALS,
        tid: remaining,
        tgid: seen,
        patch_state: 0,
        flags: 0,
        state: 0,
        on_cpu: 0,
        frames: 0,
        comm: [0; COMM_LEN],
    }
}

/// # Safety
/// As for [`member`].
#[inline(always)]
unsafe fn task_record(task: *const u8, patch_state: i32) -> TaskRecord {
    // SAFETY: see above.
    unsafe {
        TaskRecord {
            record: RECORD_TASK,
            tid: member(task, &kernel::OFF_TASK_PID),
            tgid: member(task, &kernel::OFF_TASK_TGID),
            patch_state,
            flags: member(task, &kernel::OFF_TASK_FLAGS),
            state: member(task, &kernel::OFF_TASK_STATE),
            on_cpu: on_cpu(task),
            frames: 0,
            comm: comm(task),
        }
    }
}
