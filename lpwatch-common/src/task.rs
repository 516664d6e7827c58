//! What the task iterator writes: one record per task still on old code, and
//! one last record with the totals.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::COMM_LEN;

/// `PF_KTHREAD` (include/linux/sched.h; unchanged 5.10 to 7.3).
pub const PF_KTHREAD: u32 = 0x0020_0000;

/// `record` of a task still on old code.
pub const RECORD_TASK: u32 = 1;
/// `record` of the totals: `tgid` is the number of tasks seen, `tid` the
/// number of those still on old code.
pub const RECORD_TOTALS: u32 = 2;

/// One task, or the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct TaskRecord {
    /// [`RECORD_TASK`] or [`RECORD_TOTALS`].
    pub record: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// `task_struct.patch_state`: -1 no transition, 0 unpatched, 1 patched.
    pub patch_state: i32,
    /// `task_struct.flags` (`PF_*`).
    pub flags: u32,
    /// `task_struct.__state` (`state` before 5.14).
    pub state: u32,
    /// Whether it is on a CPU now (0 or 1).
    pub on_cpu: u32,
    /// How many return addresses of its kernel stack follow this record, 8
    /// bytes each, innermost first.
    pub frames: u32,
    /// The task's name, NUL padded, any bytes.
    pub comm: [u8; COMM_LEN],
}

const _: () = assert!(size_of::<TaskRecord>() == 48);

/// The longest stack read, in frames (`kernel.perf_event_max_stack`).
pub const MAX_FRAMES: usize = 127;

/// Instead of a target state: the pass writes every task, in a transition or not.
pub const TARGET_ALL: i32 = 2;

/// The number of stacks in one pass. The records of further tasks have none.
pub const MAX_STACKS: i32 = 1024;
