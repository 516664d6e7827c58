//! The events of a transition, one record each, sent through the ring buffer
//! `EVENTS`.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{COMM_LEN, PATCH_NAME_LEN};

/// What happened; the numbers are the wire form in [`TransitionRecord::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TransitionKind {
    /// `klp_init_transition`: a transition begins.
    Begun = 1,
    /// `klp_try_complete_transition`: the kernel checks all tasks once.
    Try = 2,
    /// `klp_complete_transition`: every task has switched (or it was cancelled).
    Complete = 3,
    /// `klp_reverse_transition`: an operator reversed the transition.
    Reversed = 4,
    /// `klp_force_transition`: an operator forced the remaining tasks.
    Forced = 5,
    /// `klp_cancel_transition`: the kernel gave up enabling the patch.
    Cancelled = 6,
    /// The init function of a livepatch module returned an error.
    Refused = 7,
    /// A module was loaded; its name is in `patch`.
    ModuleLoaded = 8,
    /// A module is unloaded; its name is in `patch`.
    ModuleFreed = 9,
}

impl TransitionKind {
    /// The kind with this wire number, if there is one.
    #[must_use]
    pub const fn from_wire(kind: u32) -> Option<Self> {
        Some(match kind {
            1 => Self::Begun,
            2 => Self::Try,
            3 => Self::Complete,
            4 => Self::Reversed,
            5 => Self::Forced,
            6 => Self::Cancelled,
            7 => Self::Refused,
            8 => Self::ModuleLoaded,
            9 => Self::ModuleFreed,
            _ => return None,
        })
    }
}

/// `klp_target_state` unknown.
pub const DIRECTION_UNKNOWN: i32 = -1;
/// `KLP_TRANSITION_UNPATCHED` (include/linux/livepatch.h).
pub const DIRECTION_UNPATCHING: i32 = 0;
/// `KLP_TRANSITION_PATCHED` (include/linux/livepatch.h).
pub const DIRECTION_PATCHING: i32 = 1;

/// `replace` of the patch is unknown.
pub const REPLACE_UNKNOWN: u32 = u32::MAX;
/// The kernel's count of tries could not be read.
pub const TRIES_UNKNOWN: u32 = u32::MAX;

/// Nobody logged in (`AUDIT_UID_UNSET`), or the kernel has no audit.
pub const LOGIN_UID_UNSET: u32 = u32::MAX;

/// One event of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct TransitionRecord {
    /// Nanoseconds since boot, suspend included (`bpf_ktime_get_boot_ns`).
    pub boot_ns: u64,
    /// A [`TransitionKind`].
    pub kind: u32,
    /// One of the `DIRECTION_*` constants.
    pub direction: i32,
    /// Negative errno for [`TransitionKind::Refused`], else 0.
    pub errno: i32,
    /// Tries before this one (`klp_signals_cnt`), or [`TRIES_UNKNOWN`].
    pub tries: u32,
    /// 0, 1 or [`REPLACE_UNKNOWN`].
    pub replace: u32,
    /// The thread in whose context it happened.
    pub tid: u32,
    /// Its name, NUL padded.
    pub comm: [u8; COMM_LEN],
    /// The patch's module name, NUL padded; empty when it could not be read.
    pub patch: [u8; PATCH_NAME_LEN],
    /// The epoch that begins here (see [`crate::calls`]).
    pub epoch: u32,
    /// The thread's user.
    pub uid: u32,
    /// The user who logged in, or [`LOGIN_UID_UNSET`].
    pub login_uid: u32,
    pub padding: u32,
}

const _: () = assert!(size_of::<TransitionRecord>() == 120);
