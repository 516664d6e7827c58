//! The daemon gives up the rights that it does not need, for good.
//!
//! Capabilities belong to a thread, and new threads inherit those of the thread
//! that starts them: so this comes before the daemon starts any.

use crate::probe;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// What a daemon uses as long as it runs (docs/security.md).
///
/// Functions of new patches are hooked whenever they are loaded, so the rights for
/// BPF stay. Root without `CAP_DAC_OVERRIDE` could not write a history that belongs
/// to another user.
const WATCHING: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Keeps what watching needs; called once the daemon listens. Raises the limits first, which
/// takes `CAP_SYS_RESOURCE`: before 5.11 the memory of BPF maps is limited.
pub(super) fn give_up() {
    probe::raise_limits();
    if let Err(error) = set_no_new_privs(true) {
        tracing::warn!(%error, "programs could gain rights (no_new_privs)");
    }
    keep(WATCHING);
}

/// Gives up all other capabilities in each set of this thread. A failure costs no
/// function, so it is only logged.
fn keep(kept: CapabilitySet) {
    // Only who has CAP_SETPCAP can lessen what other programs could get.
    for capability in CapabilitySet::all().difference(kept).iter() {
        if capability_is_in_bounding_set(capability) == Ok(true)
            && let Err(error) = remove_capability_from_bounding_set(capability)
        {
            tracing::debug!(%error, "the bounding set stays as it is");
            break;
        }
    }
    let kept = capabilities(None).and_then(|held| set_capabilities(None, lessened(held, kept)));
    if let Err(error) = kept {
        tracing::warn!(%error, "the daemon keeps rights that it does not need");
    }
}

/// No set gains anything.
fn lessened(held: CapabilitySets, kept: CapabilitySet) -> CapabilitySets {
    let CapabilitySets {
        effective,
        permitted,
        inheritable,
    } = held;
    CapabilitySets {
        effective: effective.intersection(kept),
        permitted: permitted.intersection(kept),
        inheritable: inheritable.intersection(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_set_gains_anything() {
        let held = CapabilitySets {
            effective: CapabilitySet::BPF | CapabilitySet::SYS_MODULE,
            permitted: CapabilitySet::all(),
            inheritable: CapabilitySet::empty(),
        };
        let left = lessened(held, WATCHING);
        assert_eq!(left.effective, CapabilitySet::BPF);
        assert_eq!(left.permitted, WATCHING);
        assert!(left.inheritable.is_empty());
        assert!(!WATCHING.contains(CapabilitySet::SYS_MODULE));
    }

    #[test]
    fn a_thread_gives_up_and_keeps() {
        // Of this thread alone: the others of the tests keep their rights.
        let given_up = std::thread::spawn(|| {
            give_up();
            (
                capabilities(None).unwrap(),
                rustix::thread::no_new_privs().unwrap(),
            )
        });
        let before = capabilities(None).unwrap();
        let (after, is_set) = given_up.join().unwrap();
        assert!(is_set);
        assert_eq!(after.effective, before.effective & WATCHING);
        assert_eq!(after.permitted, before.permitted & WATCHING);
    }
}
