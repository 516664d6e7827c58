//! Symbol tables as the kernel prints them, and others.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::kernel::kallsyms::lines::CHUNK;

fn procfs(kallsyms: impl AsRef<[u8]>) -> (TempDir, Roots) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kallsyms"), kallsyms).unwrap();
    let roots = Roots {
        procfs: folder.path().to_owned(),
        sysfs: folder.path().to_owned(),
    };
    (folder, roots)
}

const TABLE: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000010 t klp_try_switch_task
ffffffff81000020 t klp_try_switch_task.part.0
ffffffff81000030 t t_next
ffffffff81000040 t t_next
ffffffff81000050 t klp_try_switch_task.constprop.0.isra.12
ffffffff81000060 t klp_try_switch_task.cold
ffffffff81000070 t klp_try_switch_task.llvm.1234567890
ffffffff81000080 t klp_try_switch_task.part
ffffffff81000090 t klp_try_switch_task_more.part.0
ffffffffc0000000 t t_next\t[ext4]
ffffffffc0000010 t only_in_a_module\t[ext4]
ffffffffc0000020 t bpf_prog_x\t[bpf]
";

#[test]
fn addresses_are_those_of_vmlinux_in_order() {
    let (_folder, roots) = procfs(TABLE);
    let names = [
        "t_next",
        "klp_try_switch_task",
        "only_in_a_module",
        "absent",
        "",
    ];
    let found = find_names(&roots, &names).unwrap();
    assert!(!found.hidden);
    assert_eq!(
        found.addresses["t_next"],
        [0xffff_ffff_8100_0030, 0xffff_ffff_8100_0040]
    );
    assert_eq!(
        found.addresses["klp_try_switch_task"],
        [0xffff_ffff_8100_0010]
    );
    assert_eq!(found.addresses.len(), 2);
}

#[test]
fn copies_are_those_compilers_make() {
    let (_folder, roots) = procfs(TABLE);
    let copies = |names: &[&str]| find_names(&roots, names).unwrap().copies;
    assert_eq!(
        copies(&["klp_try_switch_task"])["klp_try_switch_task"],
        [
            "klp_try_switch_task.part.0",
            "klp_try_switch_task.constprop.0.isra.12",
            "klp_try_switch_task.llvm.1234567890",
        ]
    );
    assert!(copies(&["t_next"]).is_empty());
    let found = find_names(&roots, &["_stext", "klp_try_switch_task_more", "x"]).unwrap();
    assert_eq!(found.addresses.len(), 1);
    assert_eq!(found.copies.len(), 1);
    assert_eq!(found.copies["klp_try_switch_task_more"].len(), 1);
}

#[test]
fn addresses_of_zero_are_hidden_ones() {
    let hidden = "0000000000000000 T _stext\n0000000000000000 t t_next\n";
    let (_folder, roots) = procfs(hidden);
    let found = find_names(&roots, &["t_next"]).unwrap();
    assert!(found.hidden);
    assert_eq!(found.addresses["t_next"], [0]);

    let (_folder, roots) = procfs("");
    assert_eq!(find_names(&roots, &["t_next"]).unwrap(), Names::default());
}

#[test]
fn lines_are_found_across_the_ends_of_chunks() {
    use std::fmt::Write as _;

    let mut table = String::new();
    for number in 0..20_000 {
        writeln!(table, "ffffffff81{number:06x} t function_{number}").unwrap();
    }
    // The last line lacks its newline.
    let (_folder, roots) = procfs(table.trim_end());
    let names: Vec<String> = (0..20_000)
        .map(|number| format!("function_{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = find_names(&roots, &names).unwrap();
    assert_eq!(found.addresses.len(), 20_000);
    assert_eq!(found.addresses["function_19999"], [0xffff_ffff_8100_4e1f]);
}

#[test]
fn other_lines_are_passed_over() {
    let mut table =
        b"\n\nhello\nxyz t bad_address\nffff t \nffff  t_next\n\xff\xff T \xff\n".to_vec();
    table.extend(vec![b'x'; 3 * CHUNK]);
    table.extend(b"\n1 T after\n".iter());
    let (_folder, roots) = procfs(table);
    let found = find_names(&roots, &["after", "bad_address", "t_next", ""]).unwrap();
    assert_eq!(found.addresses.len(), 1);
    assert_eq!(found.addresses["after"], [1]);
}

#[test]
fn no_file_is_an_error() {
    let roots = Roots {
        procfs: "/nonexistent".into(),
        sysfs: "/nonexistent".into(),
    };
    assert!(matches!(find_names(&roots, &[]), Err(ReadError::Io { .. })));
}
