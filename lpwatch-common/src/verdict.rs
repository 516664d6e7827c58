//! The kernel's answers when it checked a task, per task in the map `VERDICTS`, and
//! how tasks switched, in the map `SWITCHED`.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes kept of a function's name; longer names are cut.
pub const FUNCTION_LEN: usize = 64;

/// The kernel's answers about one task in one transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct VerdictRecord {
    /// When the kernel first and last checked it, in nanoseconds since boot.
    pub first_ns: u64,
    pub last_ns: u64,
    /// Counts transitions and reversals; answers of an earlier one are invalid.
    pub generation: u32,
    /// How often the kernel checked it.
    pub tries: u32,
    /// The last answer: 0 or a negative errno.
    pub code: i32,
    pub padding: u32,
    /// For -EADDRINUSE the function, NUL padded; else all zero.
    pub function: [u8; FUNCTION_LEN],
}

/// The size of a [`VerdictRecord`], for maps read as bytes.
pub const VERDICT_RECORD_LEN: usize = 96;

const _: () = assert!(size_of::<VerdictRecord>() == VERDICT_RECORD_LEN);

/// Indices into `SWITCHED`: the kernel checked the task's stack.
pub const SWITCHED_CHECKED: u32 = 0;
/// It returned to user space.
pub const SWITCHED_USER_RETURN: u32 = 1;
/// It is an idle task, in the idle loop.
pub const SWITCHED_IDLE: u32 = 2;
/// An operator forced it.
pub const SWITCHED_FORCED: u32 = 3;
/// The number of ways.
pub const SWITCHED_WAYS: u32 = 4;
