//! Loaded modules, from `<sysfs>/module` (kernel/module/sysfs.c).

use super::Roots;

/// Whether the module of this name is loaded; `None` where sysfs does not list
/// modules. Built-in code with parameters is listed, too.
#[must_use]
pub fn is_loaded(roots: &Roots, name: &str) -> Option<bool> {
    let modules = roots.sysfs.join("module");
    // A name from elsewhere must not lead out of the directory.
    if name.is_empty() || name.contains('/') || name.starts_with('.') || !modules.is_dir() {
        return None;
    }
    Some(modules.join(name).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_loaded_if_sysfs_lists_it() {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: directory.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(is_loaded(&roots, "fuse"), None);
        std::fs::create_dir_all(directory.path().join("module/fuse")).unwrap();
        assert_eq!(is_loaded(&roots, "fuse"), Some(true));
        assert_eq!(is_loaded(&roots, "nfs"), Some(false));
        assert_eq!(is_loaded(&roots, "../module"), None);
    }
}
