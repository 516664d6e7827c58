//! What forcing a transition costs, for the sentence that advises against it.
//!
//! Old and new code may mix on every kernel. Whether modules can still be removed
//! depends on the kernel and the direction: `klp_force_transition`
//! (kernel/livepatch/transition.c) marks all patches in 5.10, and in 6.1 to 7.2
//! only what may still be in use: the patch that is being disabled, or those that
//! a replace patch replaces. The scenario `forced_removal` runs each case.

use super::Direction;

/// Which modules can never be removed after a transition was forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeptModules {
    None,
    This,
    Replaced,
    AllLoaded,
    Unknown,
}

/// The advice against forcing a transition of a patch.
pub(super) fn warning(kernel: &str, direction: Direction, replace: Option<bool>) -> String {
    let cost = match kept(kernel, direction, replace) {
        KeptModules::None => {
            "old and new code may then mix, which can lose data or crash the kernel"
        }
        KeptModules::This => {
            "old and new code may then mix, and the patch's module can never be removed"
        }
        KeptModules::Replaced => {
            "old and new code may then mix, and the modules of the patches that it replaces can \
             never be removed"
        }
        KeptModules::AllLoaded => {
            "old and new code may then mix, and no module of a loaded patch can ever be removed"
        }
        KeptModules::Unknown => {
            "old and new code may then mix, and the patch's module may never be removable"
        }
    };
    format!("Do not force the transition: {cost}.")
}

fn kept(kernel: &str, direction: Direction, replace: Option<bool>) -> KeptModules {
    match version(kernel) {
        Some((5, 10)) => KeptModules::AllLoaded,
        Some(version) if version >= (6, 1) => match (direction, replace) {
            (Direction::Unpatching, _) => KeptModules::This,
            (Direction::Patching, Some(true)) => KeptModules::Replaced,
            (Direction::Patching, Some(false)) => KeptModules::None,
            (Direction::Patching, None) => KeptModules::Unknown,
        },
        _ => KeptModules::Unknown,
    }
}

/// `6.12.117+deb12-cloud-amd64`: 6 and 12.
fn version(kernel: &str) -> Option<(u32, u32)> {
    let mut numbers = kernel.split(|sign: char| !sign.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_keeps_what_it_was_seen_to_keep() {
        use Direction::{Patching, Unpatching};
        let old = "5.10.0-46-cloud-amd64";
        for (direction, replace) in [(Patching, Some(false)), (Unpatching, None)] {
            assert_eq!(kept(old, direction, replace), KeptModules::AllLoaded);
        }
        for new in [
            "6.1.0-57-cloud-amd64",
            "6.12.117+deb12-cloud-amd64",
            "7.2.13",
        ] {
            assert_eq!(kept(new, Patching, Some(false)), KeptModules::None);
            assert_eq!(kept(new, Patching, Some(true)), KeptModules::Replaced);
            assert_eq!(kept(new, Unpatching, Some(true)), KeptModules::This);
        }
    }

    #[test]
    fn what_was_not_seen_is_unknown() {
        for kernel in ["5.14.0-503.el9", "4.18.0-553.el8", "5.4.0", "", "kernel"] {
            assert_eq!(
                kept(kernel, Direction::Patching, Some(false)),
                KeptModules::Unknown
            );
        }
        assert_eq!(
            kept("6.12.1", Direction::Patching, None),
            KeptModules::Unknown
        );
    }
}
