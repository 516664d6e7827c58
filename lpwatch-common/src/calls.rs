//! How calls of watched functions are counted: one slot per function and CPU.
//!
//! A slot has a bucket for each state of the calling task
//! (`task_struct.patch_state`) in each *epoch*. Odd epochs are transitions, even
//! epochs are the times between two transitions. User space knows which patches
//! existed in an epoch, and so which code the calls of a bucket ran.

/// The number of separate epochs. Buckets are then used again, so user space must
/// read them before.
pub const EPOCHS: usize = 8;

/// States kept apart: no transition (-1), unpatched (0), patched (1).
pub const STATES: usize = 3;

/// Index of the state of a task outside any transition, or not known.
pub const STATE_NONE: usize = 0;
/// Index of the state of a task on the code before the patch.
pub const STATE_UNPATCHED: usize = 1;
/// Index of the state of a task on the patch's code.
pub const STATE_PATCHED: usize = 2;

/// Buckets of a slot: epoch after epoch, state after state.
pub const BUCKETS: usize = EPOCHS * STATES;

/// A slot's calls on one CPU.
pub type Slot = [u64; BUCKETS];

/// The largest number of slots: one for each counted function, and one for each new
/// function of a patch. A slot takes 192 bytes on each CPU.
pub const SLOTS: u32 = 1024;

/// The index of this CPU's slot among the slots of all CPUs.
#[must_use]
pub const fn place(cpu: u32, slot: u32) -> u32 {
    cpu.wrapping_mul(SLOTS).wrapping_add(slot)
}

/// The bucket of this epoch and state.
#[must_use]
pub const fn bucket(epoch: u32, state: usize) -> usize {
    (epoch as usize % EPOCHS) * STATES + state
}

/// Whether a transition is under way in this epoch.
#[must_use]
pub const fn is_transition(epoch: u32) -> bool {
    epoch % 2 == 1
}

/// The epoch that begins with a transition.
#[must_use]
pub const fn transition_after(epoch: u32) -> u32 {
    epoch.wrapping_add(1) | 1
}

/// The epoch that begins when a transition ends.
#[must_use]
pub const fn rest_after(epoch: u32) -> u32 {
    epoch.wrapping_add(2) & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_alternate_whatever_was_missed() {
        assert_eq!(transition_after(0), 1);
        assert_eq!(rest_after(1), 2);
        assert_eq!(transition_after(2), 3);
        // A start or an end that no hook reported.
        assert_eq!(transition_after(1), 3);
        assert_eq!(rest_after(2), 4);
        assert!(is_transition(transition_after(u32::MAX - 1)));
        assert!(!is_transition(rest_after(u32::MAX)));
    }

    #[test]
    fn every_epoch_and_state_has_its_bucket() {
        let mut seen = [false; BUCKETS];
        for epoch in 8..16 {
            for state in 0..STATES {
                seen[bucket(epoch, state)] = true;
            }
        }
        assert_eq!(seen, [true; BUCKETS]);
    }
}
