//! A CPU held while the machine is stopped, one record per CPU and stop, sent
//! through the ring buffer `STOPS`.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// How long `stop_machine` held one CPU (`kernel/stop_machine.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, IntoBytes))]
#[repr(C)]
pub struct StopRecord {
    /// When the stop began and ended on this CPU, in nanoseconds since boot, suspend
    /// included (`bpf_ktime_get_boot_ns`).
    pub begun_ns: u64,
    pub ended_ns: u64,
    /// The address of the `struct multi_stop_data`. Two stops at the same time have
    /// different addresses.
    pub stop: u64,
    /// The address of the function that ran during the stop; 0 if unknown.
    pub function: u64,
    /// Which CPU.
    pub cpu: u32,
    /// How many CPUs this stop holds; 0 if unknown.
    pub cpus: u32,
}

const _: () = assert!(size_of::<StopRecord>() == 40);
