//! Types that cross the boundary between the BPF programs and user space.
//!
//! Every type is `#[repr(C)]`, with explicit padding and an asserted size, so that
//! both compilers use the same layout. With the feature `user` each type can be
//! decoded from bytes without `unsafe`, and no byte of it is implicit padding.
#![no_std]

pub mod calls;
pub mod patch;
pub mod program;
pub mod stops;
pub mod task;
pub mod transition;
pub mod verdict;

/// `MODULE_NAME_LEN` is `64 - sizeof(unsigned long)` (include/linux/module.h).
pub const PATCH_NAME_LEN: usize = 56;

/// `TASK_COMM_LEN` (include/linux/sched.h).
pub const COMM_LEN: usize = 16;

/// Takes a record off the front of `bytes`; `None` when they are too few.
#[cfg(feature = "user")]
#[must_use]
pub fn split_record<R: zerocopy::FromBytes>(bytes: &[u8]) -> Option<(R, &[u8])> {
    R::read_from_prefix(bytes).ok()
}

/// The record that `bytes` begins with; `None` when they are too few.
#[cfg(feature = "user")]
#[must_use]
pub fn decode<R: zerocopy::FromBytes>(bytes: &[u8]) -> Option<R> {
    split_record(bytes).map(|(record, _)| record)
}

/// The records that follow each other in `bytes`; a part of one at the end is
/// left out.
#[cfg(feature = "user")]
pub fn decode_all<R: zerocopy::FromBytes>(bytes: &[u8]) -> impl Iterator<Item = R> {
    bytes.chunks_exact(size_of::<R>()).filter_map(decode)
}

#[cfg(all(test, feature = "user"))]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::{decode, decode_all, stops::StopRecord};

    #[test]
    fn a_record_is_decoded_wherever_it_lies_and_never_from_a_part() {
        let record = StopRecord {
            begun_ns: 1,
            ended_ns: 2,
            stop: 3,
            function: u64::MAX,
            cpu: 5,
            cpus: 6,
        };
        let mut bytes = [0xff; size_of::<StopRecord>() + 2];
        let unaligned = &mut bytes[1..=size_of::<StopRecord>()];
        assert_eq!(record.write_to(unaligned), Ok(()));
        assert_eq!(decode(&bytes[1..]), Some(record));
        assert_eq!(decode::<StopRecord>(&bytes[3..]), None);
        assert_eq!(decode::<StopRecord>(&[]), None);
        assert!(decode_all::<StopRecord>(&bytes[1..]).eq([record]));
    }
}
