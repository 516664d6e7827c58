//! The names of a patch's objects: which of them no module can have.
//!
//! The kernel compares the name of an object with the names of modules, byte by byte
//! (kernel/livepatch/core.c, `klp_find_object_module`). It accepts a name that no
//! module can have, and the functions of that object are then never patched.

use lpwatch_common::patch::VMLINUX;

/// `MODULE_NAME_LEN` of 64-bit kernels, with the final zero.
const NAME_LENGTH: usize = 56;

/// The longest name of a module, in bytes.
pub const LONGEST: usize = NAME_LENGTH - 1;

/// The endings of module files.
const FILE_ENDINGS: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];

/// Whether the kernel refuses a patch with an object of this name.
#[must_use]
pub fn is_refused(object: &str) -> bool {
    object.is_empty() || object.len() > LONGEST
}

/// The module name in what somebody wrote for it: a file's name, a path, with
/// dashes, in white space. It is `written` itself if a module can have that name, and
/// empty if it contains none.
#[must_use]
pub fn meant(written: &str) -> String {
    // sysfs shows a slash in a name as an exclamation mark (lib/kobject.c).
    let mut parts = written.trim().rsplit(['/', '!']);
    let last = parts.find(|part| !part.is_empty()).unwrap_or_default();
    let mut endings = FILE_ENDINGS.iter();
    let stem = endings.find_map(|ending| last.strip_suffix(ending));
    let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or(last);
    // The kernel's build replaces both (scripts/Makefile.lib, name-fix-token).
    stem.replace(['-', ','], "_")
}

/// That no module can have the name of this object, and what the author of the patch
/// meant, without the full stop; `None` if a module can have it.
#[must_use]
pub fn impossible(object: &str) -> Option<String> {
    let meant = meant(object);
    if meant == object {
        return None;
    }
    let no_module = no_module(object);
    Some(match meant.as_str() {
        "" => no_module,
        VMLINUX => format!("{no_module}; the author of the patch meant the kernel itself"),
        module => format!("{no_module}; the author of the patch meant `{module}`"),
    })
}

/// That no module can have this name.
#[must_use]
pub fn no_module(object: &str) -> String {
    format!("no module can be named `{object}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OBJECT_UNKNOWN;

    #[test]
    fn a_name_is_found_in_what_was_written() {
        for (text, name) in [
            ("target", "target"),
            ("target.ko", "target"),
            ("my-mod", "my_mod"),
            ("my-mod.ko.xz", "my_mod"),
            ("a,b", "a_b"),
            ("kernel/net/foo", "foo"),
            ("kernel!net!foo.ko.zst", "foo"),
            (" target\n", "target"),
            ("foo/", "foo"),
            ("vmlinux.ko", "vmlinux"),
            ("a.b", "a.b"),
            (".ko", ".ko"),
            (" ", ""),
            ("", ""),
        ] {
            assert_eq!(meant(text), name, "{text:?}");
        }
    }

    #[test]
    fn a_name_that_no_module_can_have_is_explained() {
        assert_eq!(
            impossible("lpwatch_target.ko").as_deref(),
            Some(
                "no module can be named `lpwatch_target.ko`; the author of the patch meant \
                 `lpwatch_target`"
            )
        );
        assert!(
            impossible("vmlinux.ko")
                .unwrap()
                .contains("the kernel itself")
        );
        assert_eq!(
            impossible(" ").as_deref(),
            Some("no module can be named ` `")
        );
        for possible in ["fuse", "vmlinux", OBJECT_UNKNOWN, "a.b"] {
            assert_eq!(impossible(possible), None, "{possible}");
        }
    }
}
