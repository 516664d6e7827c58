//! What is known of processors, by experiment (Linux 7.2).

/// What is to be known about hooks on patched functions on this processor, as
/// Rust names it.
pub(super) fn of_processor(processor: &str) -> Option<String> {
    let text = match processor {
        // What the rest of the report says holds as it stands.
        "x86_64" => return None,
        "aarch64" => {
            "On arm64 hooks were found harmless in every order: patches stay effective, and every \
             call is counted."
        }
        "s390x" => {
            "On s390x an entry hook can switch a patch off: an fentry while it is attached, and a \
             kprobe that was placed before the patch. lpwatch takes no fentry there, and a kprobe \
             placed after the patch is harmless: watch no function that is yet to be patched, \
             and see in `lpwatch status` whether patches are effective."
        }
        "powerpc64" => {
            "On powerpc an fentry on a patched function never fires, so lpwatch counts by \
             kprobes; and a return probe makes stacks unreliable, so the kernel's verdicts are \
             not watched."
        }
        other => {
            return Some(format!(
                "lpwatch was never tried on this processor ({other}): it takes no return probe and \
                 no fentry on patched functions."
            ));
        }
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_but_the_usual_one_has_its_note() {
        assert_eq!(of_processor("x86_64"), None);
        for processor in ["aarch64", "s390x", "powerpc64", "riscv64"] {
            assert!(of_processor(processor).is_some(), "{processor}");
        }
    }
}
