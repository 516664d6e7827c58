//! Tests of what a kernel says of itself, on trees.

use std::{fs, path::Path};

use super::*;
use crate::kernel::patch_file::tests::module_of;

fn write(folder: &Path, files: &[(&str, &str)]) -> Roots {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Roots {
        sysfs: folder.join("sys"),
        procfs: folder.join("proc"),
    }
}

#[test]
fn what_a_kernel_says_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let roots = write(
        folder.path(),
        &[
            ("proc/sys/kernel/ftrace_enabled", "1\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("proc/sys/kernel/modules_disabled", "0\n"),
            ("proc/sys/kernel/osrelease", "6.12.1\n"),
            ("sys/module/module/parameters/sig_enforce", "Y\n"),
            (
                "sys/kernel/security/lockdown",
                "none [integrity] confidentiality\n",
            ),
            (
                "proc/config",
                "CONFIG_STACKTRACE=y\nCONFIG_HAVE_RELIABLE_STACKTRACE=y\n",
            ),
            (
                "modules/modules.dep",
                "kernel/a.ko:\nkernel/b.ko:\nkernel/c.ko:\n",
            ),
            ("modules/kernel/a.ko", "no module"),
        ],
    );
    let of_another_kernel = module_of(&["name=b", "vermagic=6.12.0 SMP "]);
    fs::write(folder.path().join("modules/kernel/b.ko"), of_another_kernel).unwrap();
    let own = module_of(&["name=c", "vermagic=6.12.1 SMP preempt "]);
    fs::write(folder.path().join("modules/kernel/c.ko"), own).unwrap();
    let disk = Disk::at(&folder.path().join("modules"));
    let facts = KernelFacts::gather(&roots, &Host::of(&roots), &disk);
    let vermagic = facts.vermagic.clone().unwrap();
    assert_eq!(vermagic.text, "6.12.1 SMP preempt ");
    let expected = KernelFacts {
        ftrace_enabled: Some(true),
        machine: Some("x86_64".to_owned()),
        reliable_stacks: Some(true),
        modules_disabled: Some(false),
        sig_enforce: Some(true),
        lockdown: Some("integrity".to_owned()),
        vermagic: Some(vermagic),
        unread: Vec::new(),
    };
    assert_eq!(facts, expected);
}

#[test]
fn absent_is_told_from_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let roots = write(folder.path(), &[("sys/x", ""), ("proc/x", "")]);
    let gather = |roots: &Roots| KernelFacts::gather(roots, &Host::of(roots), &Disk::default());
    assert_eq!(gather(&roots), KernelFacts::default());

    write(
        folder.path(),
        &[
            ("sys/module/x/initstate", ""),
            ("sys/kernel/security/lsm", "capability"),
        ],
    );
    let facts = gather(&roots);
    assert_eq!(facts.sig_enforce, Some(false));
    assert_eq!(facts.lockdown.as_deref(), Some("none"));

    // There, and unlike what a kernel writes.
    write(folder.path(), &[("sys/kernel/security/lockdown", "what\n")]);
    let facts = gather(&roots);
    assert_eq!(facts.lockdown, None);
    assert!(facts.unread[0].contains("what"), "{:?}", facts.unread);
}
