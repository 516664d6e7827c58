//! Whether the kernel's function tracer, which livepatch needs, is on.

use std::fs;

use super::Roots;

/// `kernel.ftrace_enabled` (kernel/trace/ftrace.c); `None` where the kernel has
/// no such setting or it cannot be read.
///
/// While it is off no call is redirected and no livepatch can be loaded. With a
/// livepatch loaded the kernel refuses to switch it off (EBUSY, since 5.6).
#[must_use]
pub fn is_enabled(roots: &Roots) -> Option<bool> {
    let text = fs::read_to_string(roots.procfs.join("sys/kernel/ftrace_enabled")).ok()?;
    match text.trim() {
        "0" => Some(false),
        "" => None,
        _ => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_distinguished_from_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            procfs: folder.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(is_enabled(&roots), None);
        fs::create_dir_all(folder.path().join("sys/kernel")).unwrap();
        for (text, expected) in [("0\n", Some(false)), ("1\n", Some(true)), ("\n", None)] {
            fs::write(folder.path().join("sys/kernel/ftrace_enabled"), text).unwrap();
            assert_eq!(is_enabled(&roots), expected);
        }
    }
}
