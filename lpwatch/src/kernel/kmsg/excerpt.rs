//! The part of the kernel log that is about live patches.

use super::{LogReader, LogRecord, ReadError, parse_foreign};

/// What marks a line of livepatch: its prefix (`pr_fmt` in kernel/livepatch/core.c) or
/// one of its functions, as in a warning's stack.
const MARKS: [&str; 2] = ["livepatch", "klp_"];

/// What the log contains about live patches from one moment to another, in seconds of
/// its clock, oldest first; and what it contains about `patch` in that time.
///
/// # Errors
/// Those of [`LogReader::open_from_start`] and [`LogReader::read_available`].
pub fn about_patches(patch: Option<&str>, from: f64, to: f64) -> Result<Vec<LogRecord>, ReadError> {
    let mut records = LogReader::open_from_start()?.read_available()?;
    records.retain(|record| {
        let at = record.seconds();
        record.is_of_kernel() && (from..=to).contains(&at) && is_about(&record.text, patch)
    });
    Ok(records)
}

fn is_about(text: &str, patch: Option<&str>) -> bool {
    MARKS.iter().any(|mark| text.contains(mark))
        || patch.is_some_and(|patch| text.contains(patch))
        || parse_foreign(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_are_left_out() {
        assert!(is_about("livepatch: 'lp_fix': patching complete", None));
        assert!(is_about(
            "lp_fix: loading out-of-tree module taints kernel.",
            Some("lp_fix")
        ));
        assert!(!is_about(
            "lp_fix: loading out-of-tree module taints kernel.",
            None
        ));
        assert!(!is_about(
            "EXT4-fs (sda1): mounted filesystem",
            Some("lp_fix")
        ));
    }
}
