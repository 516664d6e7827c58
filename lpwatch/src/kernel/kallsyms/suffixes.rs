//! What compilers append to the name of a function.

/// The kinds of parts that compilers split off a function or copy from it. The
/// last is of clang's LTO, the others are of GCC.
const KINDS: [&[u8]; 5] = [COLD, b"part", b"isra", b"constprop", b"llvm"];

/// Code that is hardly ever run, split off and never entered by a call.
const COLD: &[u8] = b"cold";

/// Whether `suffix`, from its dot on, begins with one of the kinds.
pub(super) fn is_part(suffix: &[u8]) -> bool {
    let kind = suffix.split(|byte| *byte == b'.').nth(1);
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

/// Whether `suffix`, from its dot on, is that of a copy, which keeps the
/// function's code or a part of it: a chain of `.kind.number`, none of it cold.
pub(super) fn is_copy(suffix: &[u8]) -> bool {
    let mut words = suffix.split(|byte| *byte == b'.').skip(1).peekable();
    if words.peek().is_none() {
        return false;
    }
    while let Some(kind) = words.next() {
        let numbered = words
            .next()
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
        if kind == COLD || !KINDS.contains(&kind) || !numbered {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_a_part() {
        for copy in [".part.0", ".isra.0.constprop.12", ".llvm.1234567890"] {
            assert!(
                is_copy(copy.as_bytes()) && is_part(copy.as_bytes()),
                "{copy}"
            );
        }
        for part in [".cold", ".isra.0.cold", ".part", ".cold.1"] {
            assert!(
                !is_copy(part.as_bytes()) && is_part(part.as_bytes()),
                "{part}"
            );
        }
        for other in ["", ".", ".0", ".other.0", ".other.part.0"] {
            assert!(
                !is_copy(other.as_bytes()) && !is_part(other.as_bytes()),
                "{other}"
            );
        }
    }
}
