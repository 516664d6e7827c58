//! Trees as kernels from 4.12 to 7.3 show them, and trees that come apart.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use rustix::io::Errno;
use tempfile::TempDir;

use super::*;

/// A sysfs with these files; a path that ends in `/` is an empty directory.
fn sysfs(files: &[(&str, &str)]) -> (TempDir, Roots) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("kernel/livepatch");
    fs::create_dir_all(&base).unwrap();
    for (path, text) in files {
        let path_below = base.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(path_below).unwrap();
        } else {
            fs::create_dir_all(path_below.parent().unwrap()).unwrap();
            fs::write(path_below, text).unwrap();
        }
    }
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    (folder, roots)
}

fn names(patches: &[PatchFiles]) -> Vec<&str> {
    patches.iter().map(|patch| patch.name.as_str()).collect()
}

#[test]
fn a_kernel_of_today_tells_everything() {
    let (_folder, roots) = sysfs(&[
        ("lp/enabled", "1\n"),
        ("lp/transition", "0\n"),
        ("lp/replace", "1\n"),
        ("lp/stack_order", "2\n"),
        ("lp/vmlinux/patched", "1\n"),
        ("lp/vmlinux/meminfo_proc_show,1/", ""),
        ("lp/vmlinux/cmdline_proc_show,2/", ""),
        ("lp/ext4/patched", "0\n"),
        ("lp/ext4/f,1/.gitkeep", ""),
    ]);
    let function = |name: &str, sympos| (name.to_owned(), sympos);
    assert_eq!(
        read_patches(&roots).unwrap().unwrap(),
        [PatchFiles {
            name: "lp".to_owned(),
            enabled: Some(true),
            transition: Some(false),
            replace: Some(true),
            stack_order: Some(2),
            objects: vec![
                ObjectFiles {
                    name: "ext4".to_owned(),
                    patched: Some(false),
                    functions: vec![function("f", 1)],
                },
                ObjectFiles {
                    name: "vmlinux".to_owned(),
                    patched: Some(true),
                    functions: vec![
                        function("cmdline_proc_show", 2),
                        function("meminfo_proc_show", 1)
                    ],
                },
            ],
        }]
    );
}

#[test]
fn an_old_kernel_leaves_fields_out() {
    let (_folder, roots) = sysfs(&[
        ("lp/enabled", "0\n"),
        ("lp/force", ""),
        ("lp/transition", "1\n"),
        ("lp/vmlinux/f,1/", ""),
    ]);
    let patches = read_patches(&roots).unwrap().unwrap();
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0].enabled, Some(false));
    assert_eq!(patches[0].transition, Some(true));
    assert_eq!((patches[0].replace, patches[0].stack_order), (None, None));
    assert_eq!(patches[0].objects[0].patched, None);
}

/// 4.0 to 4.11: no consistency model, so no `transition`; up to 4.4 functions had
/// no position, and their old address was a file (`klp_func_ktype`, 4.0).
#[test]
fn before_transitions_there_were_patches() {
    for (function, old_address) in [("f", "lp/vmlinux/f/old_addr"), ("f,1", "lp/vmlinux/f,1/x")] {
        let entry = format!("lp/vmlinux/{function}/");
        let (_folder, roots) = sysfs(&[
            ("lp/enabled", "1\n"),
            (&entry, ""),
            (old_address, "0xffffffff81000000\n"),
        ]);
        let patches = read_patches(&roots).unwrap().unwrap();
        let [patch] = &patches[..] else {
            panic!("{patches:?}")
        };
        assert_eq!((patch.enabled, patch.transition), (Some(true), None));
        assert_eq!(patch.objects[0].functions, [("f".to_owned(), 1)]);
        assert!(!has_transition(&roots, "lp"));
    }
}

/// 4.12 to 5.0: `signal` came in 4.15 and went in 5.1, `force` came with it and
/// stayed; both can be written only, or say nothing.
#[test]
fn files_that_came_and_went_change_nothing() {
    for extra in [
        &[][..],
        &[("lp/signal", "0\n"), ("lp/force", "0\n")],
        &[("lp/force", "")],
    ] {
        let files = [
            ("lp/enabled", "1\n"),
            ("lp/transition", "1\n"),
            ("lp/vmlinux/f,2/", ""),
        ];
        let (_folder, roots) = sysfs(&[&files, extra].concat());
        let expected = PatchFiles {
            name: "lp".to_owned(),
            enabled: Some(true),
            transition: Some(true),
            replace: None,
            stack_order: None,
            objects: vec![ObjectFiles {
                name: "vmlinux".to_owned(),
                patched: None,
                functions: vec![("f".to_owned(), 2)],
            }],
        };
        assert_eq!(read_patches(&roots).unwrap().unwrap(), [expected]);
    }
}

#[test]
fn no_directory_is_no_livepatch_and_an_empty_one_no_patches() {
    let folder = tempfile::tempdir().unwrap();
    let mut roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    assert_eq!(read_patches(&roots).unwrap(), None);
    roots.sysfs.push("mistyped");
    assert!(matches!(read_patches(&roots), Err(ReadError::Io { .. })));

    let (_folder, roots) = sysfs(&[]);
    assert_eq!(read_patches(&roots).unwrap(), Some(Vec::new()));
}

#[test]
fn the_stack_gives_the_order_only_where_all_patches_tell_it() {
    let mut files = vec![
        ("c/stack_order", "1"),
        ("b/stack_order", "2"),
        ("a/stack_order", "10"),
    ];
    let (_folder, roots) = sysfs(&files);
    assert_eq!(
        names(&read_patches(&roots).unwrap().unwrap()),
        ["c", "b", "a"]
    );
    files.push(("d/enabled", "1"));
    let (_folder, roots) = sysfs(&files);
    let patches = read_patches(&roots).unwrap().unwrap();
    assert_eq!(names(&patches), ["a", "b", "c", "d"]);
}

#[test]
fn malformed_files_and_entries_say_nothing() {
    let (_folder, roots) = sysfs(&[
        ("lp/enabled", "yes\n"),
        ("lp/transition", ""),
        ("lp/replace", "2"),
        ("lp/stack_order", "-1"),
        ("lp/vmlinux/patched", "\u{0}"),
        ("lp/vmlinux/no_position", ""),
        ("lp/vmlinux/f,x/", ""),
        ("lp/vmlinux/f,+1/", ""),
        ("lp/vmlinux/f,/", ""),
        ("lp/vmlinux/,1/", ""),
        ("lp/vmlinux/f,99999999999/", ""),
        ("lp/vmlinux/a,b,3/", ""),
        ("stray file", "1"),
    ]);
    let patches = read_patches(&roots).unwrap().unwrap();
    let patch = &patches[0];
    assert_eq!(patches.len(), 1);
    assert_eq!((patch.enabled, patch.transition), (None, None));
    assert_eq!((patch.replace, patch.stack_order), (None, None));
    assert_eq!(patch.objects[0].patched, None);
    assert_eq!(patch.objects[0].functions, [("a,b".to_owned(), 3)]);
}

#[test]
fn a_name_that_is_not_utf8_is_shown_as_far_as_it_goes() {
    let (_folder, roots) = sysfs(&[]);
    let name = OsString::from_vec(b"lp\xff".to_vec());
    let patch = roots.sysfs.join("kernel/livepatch").join(name);
    fs::create_dir(&patch).unwrap();
    fs::write(patch.join("enabled"), "1\n").unwrap();
    let patches = read_patches(&roots).unwrap().unwrap();
    assert_eq!(names(&patches), ["lp\u{fffd}"]);
    assert_eq!(patches[0].enabled, Some(true));
}

#[test]
fn a_patch_that_is_gone_is_vanished_not_an_error() {
    let gone = Path::new("/nonexistent/lp");
    assert!(matches!(read_patch(gone, "lp"), Err(FileFailure::Vanished)));
    let says = |errno: Errno| FileFailure::of(gone, io::Error::from(errno), REMEDY);
    assert!(matches!(says(Errno::NODEV), FileFailure::Vanished));
    assert!(matches!(says(Errno::NOENT), FileFailure::Vanished));
    assert!(matches!(
        says(Errno::IO),
        FileFailure::Read(ReadError::Io { .. })
    ));
    let FileFailure::Read(error) = says(Errno::ACCESS) else {
        panic!("no permission is an error");
    };
    assert!(error.is_permission());
}

#[test]
fn patches_that_come_and_go_are_never_an_error() {
    let (_folder, roots) = sysfs(&[("stays/enabled", "1\n")]);
    let base = roots.sysfs.join("kernel/livepatch");
    let churn = std::thread::spawn(move || {
        for _ in 0..100 {
            let object = base.join("comes/vmlinux/f,1");
            fs::create_dir_all(&object).unwrap();
            fs::write(base.join("comes/enabled"), "1\n").unwrap();
            // The reader may hold a directory open; removing works all the same.
            fs::remove_dir_all(base.join("comes")).unwrap();
        }
    });
    while !churn.is_finished() {
        let patches = read_patches(&roots).unwrap().unwrap();
        assert!(names(&patches).contains(&"stays"));
    }
    churn.join().unwrap();
}

#[test]
fn a_patch_is_asked_for_its_transition_file_alone() {
    let (_folder, roots) = sysfs(&[("lp/transition", "1\n"), ("old/enabled", "1\n")]);
    assert!(has_transition(&roots, "lp"));
    for name in ["old", "gone", "", ".", "..", "../livepatch/lp", "/lp"] {
        assert!(!has_transition(&roots, name), "{name:?}");
    }
}

#[test]
fn a_patch_that_is_being_enabled_is_not_settled() {
    let patch = |enabled, transition| PatchFiles {
        name: "lp".to_owned(),
        enabled,
        transition,
        replace: None,
        stack_order: None,
        objects: Vec::new(),
    };
    assert!(patch(Some(true), Some(false)).is_settled());
    // Its folder is there, its transition not yet; then its `pre_patch` runs.
    assert!(!patch(Some(false), Some(false)).is_settled());
    assert!(!patch(Some(false), Some(true)).is_settled());
    assert!(!patch(Some(true), Some(true)).is_settled());
}
