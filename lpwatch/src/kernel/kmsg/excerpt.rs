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

/// The patch that a line of livepatch names: `'lp_fix': patching complete`,
/// `enabling patch 'lp_fix'`.
fn named(text: &str) -> Option<&str> {
    let (before, rest) = text.split_once('\'')?;
    let (name, after) = rest.split_once('\'')?;
    let is_patch = before.ends_with("patch ") || after.starts_with(':');
    is_patch.then_some(name)
}

fn is_about(text: &str, patch: Option<&str>) -> bool {
    let of_another = |patch: &str| named(text).is_some_and(|name| name != patch);
    if text.contains("livepatch: ") && patch.is_some_and(of_another) {
        return false;
    }
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
        let other = "livepatch: 'lp_other': starting patching transition";
        assert!(is_about(other, None) && !is_about(other, Some("lp_fix")));
        let object = "livepatch: applying patch 'lp_fix' to loading module 'ext4'";
        assert!(is_about(object, Some("lp_fix")) && !is_about(object, Some("lp_other")));
        let all = "livepatch: signaling remaining tasks";
        assert!(is_about(all, Some("lp_fix")));
        assert!(!is_about(
            "EXT4-fs (sda1): mounted filesystem",
            Some("lp_fix")
        ));
    }
}
