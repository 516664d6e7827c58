//! Modules that kernels' own build systems made (`tests/trees/modules`), read
//! against the C they were made from (`tests/modules`).

use std::path::{Path, PathBuf};

use super::functions;
use crate::kernel::patch_file::{Callback, Machine, MadeBy, PatchFile, find_in};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/modules")
}

struct Expected {
    file: &'static str,
    release: &'static str,
    replace: bool,
    objects: &'static [(&'static str, &'static [&'static str], &'static [Callback])],
}

const ALL: [Expected; 4] = [
    Expected {
        file: "5.10-lp_two_objects.ko",
        release: "5.10.0-46-cloud-amd64",
        replace: false,
        objects: &[
            (
                "vmlinux",
                &["cmdline_proc_show,0 -> lp_two_objects_show"],
                &[],
            ),
            (
                "lpwatch_late",
                &["lpwatch_late_value,0 -> lp_two_objects_value"],
                &[],
            ),
        ],
    },
    Expected {
        file: "6.1-lp_calls.ko",
        release: "6.1.0-56-cloud-amd64",
        replace: false,
        objects: &[
            ("vmlinux", &["gcd,0 -> lp_calls_gcd"], &[]),
            (
                "lpwatch_calls",
                &[
                    "lpwatch_calls_work,0 -> lp_calls_work",
                    "lpwatch_calls_main,0 -> lp_calls_main",
                ],
                &[],
            ),
        ],
    },
    Expected {
        file: "6.12-lp_pre_patch_fails.ko",
        release: "6.12.117+deb12-cloud-amd64",
        replace: false,
        objects: &[(
            "vmlinux",
            &["cmdline_proc_show,0 -> lp_pre_patch_fails_show"],
            &[Callback::PrePatch],
        )],
    },
    Expected {
        file: "7-lp_replace.ko",
        release: "7.2.13+deb14-cloud-amd64",
        replace: true,
        objects: &[("vmlinux", &["cmdline_proc_show,0 -> lp_replace_show"], &[])],
    },
];

fn assert_is(file: &PatchFile, expected: &Expected) {
    let (_, name) = expected.file.split_once('-').unwrap();
    assert_eq!(file.name, name.trim_end_matches(".ko"));
    assert_eq!(file.modinfo.kernel_release(), Some(expected.release));
    assert!(file.modinfo.livepatch && !file.signed);
    assert_eq!(file.machine, Machine::X86_64);
    assert_eq!(file.made_by, Some(MadeBy::HandWritten));
    assert_eq!(file.replace, Some(expected.replace));
    assert_eq!(file.build_id.as_ref().map(String::len), Some(40));
    assert_eq!(file.unread, [""; 0]);
    assert_eq!(file.objects.len(), expected.objects.len());
    for (object, (name, list, callbacks)) in file.objects.iter().zip(expected.objects) {
        assert_eq!(object.name, *name);
        assert_eq!(functions(object), *list);
        assert_eq!(object.callbacks, *callbacks);
    }
}

#[test]
fn modules_of_four_kernels_are_read_as_their_source_says() {
    let found = find_in(&folder()).unwrap();
    assert_eq!(found.files.len(), ALL.len());
    for expected in &ALL {
        assert_is(
            &PatchFile::read(&folder().join(expected.file)).unwrap(),
            expected,
        );
    }
}

#[test]
fn recorded_modules_cut_anywhere_are_refused() {
    for expected in &ALL {
        let bytes = std::fs::read(folder().join(expected.file)).unwrap();
        for length in 0..bytes.len() {
            let result = PatchFile::parse(&bytes[..length], "cut.ko");
            assert!(result.is_err(), "{}: {length}", expected.file);
        }
    }
}
