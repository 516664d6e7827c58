//! Notes on processors, from experiments with Linux 7.2.

/// A note about hooks on patched functions on this processor (Rust's name).
pub(super) fn of_processor(processor: &str) -> Option<String> {
    let text = match processor {
        // The rest of the report is valid without a note.
        "x86_64" => return None,
        "aarch64" => {
            "On arm64, hooks are harmless in every order: patches stay effective and every call is \
             counted."
        }
        "s390x" => {
            "On s390x, an entry hook can disable a patch: an fentry while it is attached, and a kprobe \
             that was placed before the patch. lpwatch does not use fentry there. A kprobe placed \
             after the patch is harmless. Do not watch functions before they are patched. To see \
             whether patches are effective: lpwatch status"
        }
        "powerpc64" => {
            "On powerpc an fentry on a patched function never fires, so lpwatch counts by \
             kprobes; and a return probe makes stacks unreliable, so the kernel's verdicts are \
             not watched."
        }
        other => {
            return Some(format!(
                "lpwatch was never tested on this processor ({other}): it uses no return probe and no \
                 fentry on patched functions."
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
